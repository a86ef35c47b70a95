// Where the variables of a CRF lie in feature space, and the tiles they are processed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dense_crf/buffer.h"

namespace dense_crf {

// A rectangle of the image that one thread handles at a time. Small enough that the lattice vertices it touches
// stay in a core's L2 cache. Arrays "in tile order" hold the pixels of tile 0 row by row, then those of tile 1...
struct Tile {
    int row, col;       // upper left pixel
    int rows, cols;     // extent
    std::size_t first;  // position of its first pixel in tile order
    int pixels() const { return rows * cols; }
};

// Cuts height x width pixels into tiles of at most side x side and about the same size, in raster order. An image
// of one row is cut into pieces of side * side, so unstructured variables (height 1) work as well.
std::vector<Tile> make_tiles(int height, int width, int side);

// Feature vectors of all variables of one kernel: positions divided by the kernel's standard deviations, so that
// the kernel is exp(-|f_i - f_j|^2 / 2).
class FeatureSource {
  public:
    virtual ~FeatureSource() = default;
    virtual int dims() const = 0;
    // Writes dimension-major: out[d * stride + i] for the i-th pixel of the tile.
    virtual void fill(const Tile& tile, std::size_t stride, float* out) const = 0;
    // Bounds of dimension d over all variables.
    virtual void range(int d, float& low, float& high) const = 0;
    // A lower bound of the distance between two variables; 0 where nothing is known.
    virtual float separation() const { return 0; }
};

// (x / sx, y / sy).
class GridFeatures : public FeatureSource {
  public:
    GridFeatures(int height, int width, float sx, float sy) : height_(height), width_(width), sx_(sx), sy_(sy) {}
    int dims() const override { return 2; }
    void fill(const Tile& tile, std::size_t stride, float* out) const override;
    void range(int d, float& low, float& high) const override;
    float separation() const override { return 1.0f / (sx_ > sy_ ? sx_ : sy_); }

  private:
    int height_, width_;
    float sx_, sy_;
};

// (x / sx, y / sy, c0 / s0, c1 / s1, c2 / s2) of an image (height, width, 3) of bytes, which is copied.
class BilateralFeatures : public FeatureSource {
  public:
    BilateralFeatures(int height, int width, float sx, float sy, const float color_scales[3],
                      const std::uint8_t* image);
    int dims() const override { return 5; }
    void fill(const Tile& tile, std::size_t stride, float* out) const override;
    void range(int d, float& low, float& high) const override;
    float separation() const override { return grid_.separation(); }

  private:
    GridFeatures grid_;
    int width_;
    float color_scales_[3];
    Buffer<std::uint8_t> image_;
};

// Any features, given as (dims, variables), row-major; copied. Throws std::invalid_argument unless finite.
class PointFeatures : public FeatureSource {
  public:
    PointFeatures(int dims, int height, int width, const float* features);
    int dims() const override { return dims_; }
    void fill(const Tile& tile, std::size_t stride, float* out) const override;
    void range(int d, float& low, float& high) const override;

  private:
    int dims_, width_;
    std::size_t variables_;
    std::vector<float> features_;
};

}  // namespace dense_crf
