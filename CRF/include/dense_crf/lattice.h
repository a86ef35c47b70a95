// The permutohedral lattice of one kernel (Adams, Baek, Davis 2010): a Gaussian filter over features of any
// dimension in time linear in variables and dimensions. Filtering is splat, blur, slice; this class holds the
// structure (which corners, which weights, which neighbours), mean_field.cpp moves the values.
//
// Layout. Pixels are in tile order (features.h). Each tile numbers the vertices it touches from 0, so a corner is
// 16 bits and a tile's vertex values are one dense block; `tile_vertex` maps them to the numbers of the whole
// image, which are handed out tile by tile in order of first touch (that is also the order of locality).
//
// Bytes for N pixels in d dimensions: N (d + 1) (2 + 4) for corners and weights, which every iteration reads
// once as a stream; 4 bytes a tile-vertex pair; 4 bytes a chain member and direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dense_crf/buffer.h"
#include "dense_crf/features.h"
#include "dense_crf/vector_kernels.h"

namespace dense_crf {

// How a kernel K is scaled by its row sums n = K 1. The numbers are pydensecrf's.
enum class Normalization {
    kNone = 0,       // K
    kBefore = 1,     // K D^-1
    kAfter = 2,      // D^-1 K
    kSymmetric = 3,  // D^-1/2 K D^-1/2
};

// Largest tile, in pixels, whose corners are sure to be numbered with 16 bits.
int max_tile_pixels(int dims);

class Lattice {
  public:
    // Builds with up to `threads` threads; the result does not depend on how many. No tile may have more than
    // max_tile_pixels(features.dims()) pixels.
    Lattice(const FeatureSource& features, const std::vector<Tile>& tiles, Normalization normalization,
            int threads);

    int corners() const { return dims_ + 1; }
    int vertices() const { return vertices_; }
    // Vertices from this number on belong to no pixel: they hold 0 before a blur.
    int seen_vertices() const { return seen_vertices_; }
    // Every slice ends with this factor, which makes up for the gain of the blur.
    float alpha() const { return alpha_; }

    // Corners and weights of a tile: [pixel][corner]. Weights hold the normalisation.
    const std::uint16_t* corner(const Tile& tile) const { return corner_.data() + tile.first * corners(); }
    const float* splat_weight(const Tile& tile) const { return weight_.data() + tile.first * corners(); }
    const float* slice_weight(const Tile& tile) const {
        return (slice_weight_.empty() ? weight_ : slice_weight_).data() + tile.first * corners();
    }

    // Vertices of a tile, and the first vertex number that no earlier tile touches.
    const std::int32_t* tile_vertex(int tile) const { return tile_vertex_.data() + tile_begin_[tile]; }
    int tile_vertices(int tile) const { return static_cast<int>(tile_begin_[tile + 1] - tile_begin_[tile]); }
    std::int32_t tile_fresh(int tile) const { return tile_fresh_[tile]; }
    int max_tile_vertices() const;

    // Neighbours of each direction 0..dims. Vertices without one are left out: their blur is the identity.
    std::vector<BlurStream> streams() const;
    std::size_t blur_steps() const;

    // A kernel so narrow that no two pixels meet (the 41 x 41 map of training with a Gaussian of 1/4 pixel)
    // filters q to self[pixel] * q. Then the arrays above are empty.
    bool diagonal() const { return !self_.empty(); }
    const float* self(const Tile& tile) const { return self_.data() + tile.first; }

  private:
    struct Chains {
        Buffer<std::int32_t> numbers;  // by length, then the longer ones, then kBlurLookahead separators
        std::size_t count[kShortChain + 1] = {}, longer_size = 0;  // as in BlurStream
    };

    template <class Keys>
    void build(const Keys& keys, const FeatureSource& features, const std::vector<Tile>& tiles, int threads);
    template <class Keys, class Index>
    void fill_tile(const Keys& keys, const FeatureSource& features, const Tile& tile, Index& index,
                   std::uint8_t* steps);
    template <class Keys, class Index>
    void connect(const Keys& keys, Index& index, const std::uint8_t* steps, int threads);
    template <class Keys, class Index>
    void add_origin(const Keys& keys, Index& index) const;
    template <class Keys, class Index>
    void link(const Keys& keys, const Index& index, const std::uint8_t* steps, int threads);
    void make_chains(Chains& chains, const Buffer<std::int32_t>& next, const Buffer<std::uint8_t>& has_previous,
                     std::int32_t* head, std::size_t count) const;
    void normalize(const std::vector<Tile>& tiles, Normalization normalization, int threads);
    template <int kLength>
    static std::size_t take_chains(const Buffer<std::int32_t>& next, std::int32_t* head, std::size_t count,
                                   Chains& chains, std::int32_t*& out);
    bool pixels_are_strangers(const std::vector<Tile>& tiles) const;
    Buffer<float> filtered_ones(const std::vector<Tile>& tiles, int threads) const;

    int dims_;
    std::size_t pixels_;
    int vertices_ = 0, seen_vertices_ = 0;
    float alpha_;
    Buffer<std::uint16_t> corner_;
    Buffer<float> weight_, slice_weight_;
    Buffer<std::int32_t> tile_vertex_;
    std::vector<std::int32_t> tile_fresh_;
    std::vector<std::size_t> tile_begin_;
    std::vector<Chains> chains_;
    std::vector<float> self_;
};

}  // namespace dense_crf
