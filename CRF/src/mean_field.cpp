#include "mean_field.h"

#include <algorithm>
#include <cstring>

namespace dense_crf {
namespace {

int pad(int labels, int lanes) { return (labels + lanes - 1) / lanes * lanes; }

// Groups of labels that are blurred one after the other: all in one while the values fit in half an L2 cache, one
// vector each beyond. At most four vectors a group (what blur() keeps in registers).
int blur_groups(int vertices, int padded, int lanes) {
    constexpr std::size_t kHalfCache = 512 * 1024;
    const int vectors = padded / lanes;
    for (int per_group = std::min(vectors, 4); per_group > 1; --per_group) {
        if (vectors % per_group != 0) continue;
        const std::size_t bytes = static_cast<std::size_t>(vertices) * per_group * lanes * sizeof(float);
        if (bytes <= kHalfCache) return vectors / per_group;
    }
    return vectors;
}

}  // namespace

void DenseCrf::Kernel::set_gain(const Gain& gain, int labels) {
    padded = pad(labels, vector_kernels().lanes);
    lane_gain.resize(padded);
    std::fill(lane_gain.data(), lane_gain.data() + padded, 0.0f);
    for (int l = 0; l < labels; ++l) {
        switch (gain.form) {
            case Gain::Form::kScalar: lane_gain[l] = gain.values[0]; break;
            case Gain::Form::kDiagonal: lane_gain[l] = gain.values[l]; break;
            case Gain::Form::kMatrix: lane_gain[l] = 1; break;
        }
    }
    if (gain.form != Gain::Form::kMatrix) return;
    matrix.resize(static_cast<std::size_t>(labels) * padded);
    std::fill(matrix.data(), matrix.data() + matrix.size(), 0.0f);
    for (int j = 0; j < labels; ++j) {
        std::copy_n(gain.values.data() + static_cast<std::size_t>(j) * labels, labels,
                    matrix.data() + static_cast<std::size_t>(j) * padded);
    }
}

DenseCrf::Run::Run(const DenseCrf& crf, const std::vector<Pass>& passes, int threads, Workspace& workspace)
    : crf_(crf),
      passes_(passes),
      workspace_(workspace),
      vector_(vector_kernels()),
      padded_(pad(crf.labels_, vector_.lanes)),
      threads_(std::max(1, std::min(threads, static_cast<int>(crf.tiles_.size())))),
      barrier_(threads_) {}

void DenseCrf::Run::execute() {
    allocate();
    run_team(threads_, [this](int worker) { work(worker); });
}

// Everything a worker needs, before any worker starts: from there on nothing can fail.
void DenseCrf::Run::allocate() {
    const std::size_t kernels = crf_.kernels_.size();
    workspace_.kernels.resize(std::max(workspace_.kernels.size(), kernels));
    workspace_.workers.resize(std::max(workspace_.workers.size(), static_cast<std::size_t>(threads_)));
    for (std::size_t k = 0; k < kernels; ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        groups_.push_back(blur_groups(lattice.vertices(), padded_, vector_.lanes));
        if (lattice.diagonal()) continue;
        for (int g = 0; g < groups_[k]; ++g) blur_tasks_.push_back({static_cast<int>(k), g});
        for (Buffer<float>* values : {&workspace_.kernels[k].read, &workspace_.kernels[k].write}) {
            values->resize((static_cast<std::size_t>(lattice.vertices()) + 2) * padded_);
            const GlobalRows all = rows(static_cast<int>(k), *values);
            for (int g = 0; g < all.groups; ++g) {
                float* zeros = all.values + g * all.group_stride + static_cast<std::size_t>(lattice.vertices()) * all.lanes;
                std::fill(zeros, zeros + 2 * all.lanes, 0.0f);
            }
        }
    }
    // Long blurs first: they set the time of the phase.
    std::stable_sort(blur_tasks_.begin(), blur_tasks_.end(), [this](const BlurTask& a, const BlurTask& b) {
        return crf_.kernels_[a.kernel]->lattice->corners() > crf_.kernels_[b.kernel]->lattice->corners();
    });
    int columns = 0;
    for (const Tile& tile : crf_.tiles_) columns = std::max(columns, std::min(tile.cols, kRowPixels));
    for (int w = 0; w < threads_; ++w) {
        Workspace::Worker& worker = workspace_.workers[w];
        worker.rows.resize(static_cast<std::size_t>(columns) * padded_);
        worker.scratch.resize(2 * static_cast<std::size_t>(padded_));
        worker.values.resize(std::max(worker.values.size(), kernels));
        worker.sums.resize(std::max(worker.sums.size(), kernels));
        for (std::size_t k = 0; k < kernels; ++k) {
            const std::size_t most = static_cast<std::size_t>(crf_.kernels_[k]->lattice->max_tile_vertices());
            worker.values[k].resize(most * padded_);
            worker.sums[k].resize(most * padded_);
        }
    }
}

GlobalRows DenseCrf::Run::rows(int kernel, Buffer<float>& values) const {
    const int lanes = padded_ / groups_[kernel];
    const std::size_t count = static_cast<std::size_t>(crf_.kernels_[kernel]->lattice->vertices()) + 2;
    return {values.data(), count * lanes, groups_[kernel], lanes};
}

void DenseCrf::Run::work(int worker) {
    for (const Pass& pass : passes_) {
        const int tiles = static_cast<int>(crf_.tiles_.size());
        for (int t = turnstile_.take(); t < tiles; t = turnstile_.take()) {
            tile_pass(pass, t, workspace_.workers[worker]);
        }
        barrier_.wait();
        if (pass.splat) {
            const int tasks = static_cast<int>(blur_tasks_.size());
            for (int i = next_blur_.fetch_add(1); i < tasks; i = next_blur_.fetch_add(1)) blur(i);
            barrier_.wait();
        }
        if (worker == 0) {
            turnstile_.reset();
            next_blur_.store(0);
            for (auto& kernel : workspace_.kernels) std::swap(kernel.read, kernel.write);
        }
        barrier_.wait();
    }
}

void DenseCrf::Run::tile_pass(const Pass& pass, int t, Workspace::Worker& worker) {
    const Tile& tile = crf_.tiles_[t];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Kernel& kernel = *crf_.kernels_[k];
        if (kernel.lattice->diagonal()) continue;
        const int count = kernel.lattice->tile_vertices(t);
        if (pass.filtered) {
            float* values = worker.values[k].data();
            vector_.gather(rows(static_cast<int>(k), workspace_.kernels[k].read), kernel.lattice->tile_vertex(t),
                           count, kernel.lane_gain.data(), kernel.lattice->alpha(), padded_, values);
            if (!kernel.matrix.empty()) {
                vector_.mix(kernel.matrix.data(), crf_.labels_, count, padded_, worker.scratch.data(), values);
            }
        }
        if (pass.splat) {
            std::memset(worker.sums[k].data(), 0, sizeof(float) * static_cast<std::size_t>(count) * padded_);
        }
    }
    for (int row = 0; row < tile.rows; ++row) pixel_row(pass, tile, row, worker);
    turnstile_.wait_for(t);
    if (pass.splat) leave_sums(t, worker);
    turnstile_.leave(t);
}

void DenseCrf::Run::pixel_row(const Pass& pass, const Tile& tile, int row, Workspace::Worker& worker) {
    const int labels = crf_.labels_;
    float* logits = worker.rows.data();
    for (int col = 0; col < tile.cols; col += kRowPixels) {
        const int pixels = std::min(kRowPixels, tile.cols - col);
        const std::size_t local = static_cast<std::size_t>(row) * tile.cols + col;
        const std::size_t image = (static_cast<std::size_t>(tile.row + row) * crf_.width_ + tile.col + col) * labels;
        vector_.load_rows(pass.unary + image, pass.sign, pass.softmax ? kNever : 0.0f, pixels, labels, padded_, logits);
        for (std::size_t k = 0; pass.filtered && k < crf_.kernels_.size(); ++k) {
            const Kernel& kernel = *crf_.kernels_[k];
            const Lattice& lattice = *kernel.lattice;
            if (kernel.acts_alone()) {
                vector_.add_self(pass.previous + image, lattice.self(tile) + local, kernel.lane_gain.data(), pixels,
                                 labels, padded_, logits);
            } else if (lattice.diagonal()) {
                mix_alone(kernel, pass.previous + image, lattice.self(tile) + local, pixels, worker);
            } else {
                const std::size_t at = local * lattice.corners();
                vector_.slice(worker.values[k].data(), lattice.corner(tile) + at, lattice.slice_weight(tile) + at,
                              lattice.corners(), pixels, padded_, logits);
            }
        }
        if (pass.softmax) vector_.softmax(pixels, padded_, logits);
        if (pass.out != nullptr) vector_.store_rows(logits, pixels, labels, padded_, pass.out + image);
        for (std::size_t k = 0; pass.splat && k < crf_.kernels_.size(); ++k) {
            const Lattice& lattice = *crf_.kernels_[k]->lattice;
            if (lattice.diagonal()) continue;
            const std::size_t at = local * lattice.corners();
            vector_.splat(logits, lattice.corner(tile) + at, lattice.splat_weight(tile) + at, lattice.corners(),
                          pixels, padded_, worker.sums[k].data());
        }
    }
}

// A diagonal kernel whose labels are mixed: rare, so one pixel at a time.
void DenseCrf::Run::mix_alone(const Kernel& kernel, const float* q, const float* self, int pixels,
                              Workspace::Worker& worker) {
    float* mixed = worker.scratch.data() + padded_;
    for (int p = 0; p < pixels; ++p) {
        std::copy_n(q + static_cast<std::size_t>(p) * crf_.labels_, crf_.labels_, mixed);
        vector_.mix(kernel.matrix.data(), crf_.labels_, 1, padded_, worker.scratch.data(), mixed);
        float* logits = worker.rows.data() + static_cast<std::size_t>(p) * padded_;
        for (int l = 0; l < crf_.labels_; ++l) logits[l] += self[p] * mixed[l];
    }
}

// Adds the tile's sums to those of the image. Behind the turnstile, hence in tile order.
void DenseCrf::Run::leave_sums(int t, Workspace::Worker& worker) {
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const GlobalRows all = rows(static_cast<int>(k), workspace_.kernels[k].write);
        vector_.scatter(worker.sums[k].data(), lattice.tile_vertex(t), lattice.tile_vertices(t),
                        lattice.tile_fresh(t), padded_, all);
        for (int g = 0; t == 0 && g < all.groups; ++g) {
            float* values = all.values + g * all.group_stride;
            std::fill(values + static_cast<std::size_t>(lattice.seen_vertices()) * all.lanes,
                      values + static_cast<std::size_t>(lattice.vertices()) * all.lanes, 0.0f);
        }
    }
}

void DenseCrf::Run::blur(int task) {
    const BlurTask& which = blur_tasks_[task];
    const Lattice& lattice = *crf_.kernels_[which.kernel]->lattice;
    const GlobalRows all = rows(which.kernel, workspace_.kernels[which.kernel].write);
    float* values = all.values + which.group * all.group_stride;
    for (const auto& stream : lattice.streams()) {
        vector_.blur(stream.data(), stream.size(), lattice.vertices(), all.lanes, values);
    }
}

}  // namespace dense_crf
