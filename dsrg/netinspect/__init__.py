"""What tools.inspect_net is made of: a prototxt with its lines, checks, counts, a drawing and a comparison."""
