#include "dense_crf/features.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace dense_crf {

std::vector<Tile> make_tiles(int height, int width, int side) {
    const auto divide = [](int length, int most) {  // into pieces as equal as can be, so that threads end together
        const int pieces = (length + most - 1) / most;
        return (length + pieces - 1) / pieces;
    };
    const int tall = height == 1 ? 1 : divide(height, side);
    const int wide = divide(width, height == 1 ? side * side : side);
    std::vector<Tile> tiles;
    std::size_t first = 0;
    for (int row = 0; row < height; row += tall) {
        for (int col = 0; col < width; col += wide) {
            tiles.push_back({row, col, std::min(tall, height - row), std::min(wide, width - col), first});
            first += static_cast<std::size_t>(tiles.back().pixels());
        }
    }
    return tiles;
}

void GridFeatures::fill(const Tile& tile, std::size_t stride, float* out) const {
    for (int r = 0; r < tile.rows; ++r) {
        const float y = static_cast<float>(tile.row + r) / sy_;
        for (int c = 0; c < tile.cols; ++c) {
            out[r * tile.cols + c] = static_cast<float>(tile.col + c) / sx_;
            out[stride + r * tile.cols + c] = y;
        }
    }
}

void GridFeatures::range(int d, float& low, float& high) const {
    low = 0;
    high = d == 0 ? static_cast<float>(width_ - 1) / sx_ : static_cast<float>(height_ - 1) / sy_;
}

BilateralFeatures::BilateralFeatures(int height, int width, float sx, float sy, const float color_scales[3],
                                     const std::uint8_t* image)
    : grid_(height, width, sx, sy),
      width_(width),
      color_scales_{color_scales[0], color_scales[1], color_scales[2]},
      image_(static_cast<std::size_t>(height) * width * 3) {
    std::copy_n(image, image_.size(), image_.data());
}

void BilateralFeatures::fill(const Tile& tile, std::size_t stride, float* out) const {
    grid_.fill(tile, stride, out);
    for (int channel = 0; channel < 3; ++channel) {
        float* dim = out + (2 + channel) * stride;
        for (int r = 0; r < tile.rows; ++r) {
            const std::size_t first = static_cast<std::size_t>(tile.row + r) * width_ + tile.col;
            const std::uint8_t* row = image_.data() + first * 3 + channel;
            for (int c = 0; c < tile.cols; ++c) {
                dim[r * tile.cols + c] = static_cast<float>(row[3 * c]) / color_scales_[channel];
            }
        }
    }
}

void BilateralFeatures::range(int d, float& low, float& high) const {
    if (d < 2) return grid_.range(d, low, high);
    low = 0;
    high = 255.0f / color_scales_[d - 2];
}

PointFeatures::PointFeatures(int dims, int height, int width, const float* features)
    : dims_(dims),
      width_(width),
      variables_(static_cast<std::size_t>(height) * width),
      features_(features, features + dims * variables_) {
    for (std::size_t i = 0; i < features_.size(); ++i) {
        if (!std::isfinite(features_[i])) {
            throw std::invalid_argument("features: expected finite numbers, got " + std::to_string(features_[i]) +
                                        " in dimension " + std::to_string(i / variables_) + ", variable " +
                                        std::to_string(i % variables_));
        }
    }
}

void PointFeatures::fill(const Tile& tile, std::size_t stride, float* out) const {
    for (int d = 0; d < dims_; ++d) {
        for (int r = 0; r < tile.rows; ++r) {
            const std::size_t first = static_cast<std::size_t>(tile.row + r) * width_ + tile.col;
            const float* row = features_.data() + d * variables_ + first;
            std::copy(row, row + tile.cols, out + d * stride + static_cast<std::size_t>(r) * tile.cols);
        }
    }
}

void PointFeatures::range(int d, float& low, float& high) const {
    const auto first = features_.begin() + static_cast<std::ptrdiff_t>(d * variables_);
    const auto bounds = std::minmax_element(first, first + static_cast<std::ptrdiff_t>(variables_));
    low = *bounds.first;
    high = *bounds.second;
}

}  // namespace dense_crf
