#include "mean_field.h"

#include <algorithm>
#include <cstring>

namespace dense_crf {

// The lattice is there only once all that goes with it is.
void DenseCrf::Kernel::set_lattice(std::unique_ptr<Lattice> built, const RowShape& shape) {
    spread_gain(built->diagonal() ? 1.0f : built->alpha(), shape);
    lattice = std::move(built);
}

void DenseCrf::Kernel::spread_gain(float alpha, const RowShape& shape) {
    lane_gain.resize(shape.stride);
    std::fill(lane_gain.data(), lane_gain.data() + shape.stride, 0.0f);
    for (int l = 0; l < shape.labels; ++l) {
        switch (gain.form) {
            case Gain::Form::kScalar:
                lane_gain[l] = alpha * gain.values[0];
                break;
            case Gain::Form::kDiagonal:
                lane_gain[l] = alpha * gain.values[l];
                break;
            case Gain::Form::kMatrix:
                lane_gain[l] = alpha;
                break;
        }
    }
    if (gain.form != Gain::Form::kMatrix) return;
    matrix.resize(static_cast<std::size_t>(shape.labels) * shape.stride);
    std::fill(matrix.data(), matrix.data() + matrix.size(), 0.0f);
    for (int j = 0; j < shape.labels; ++j) {
        std::copy_n(gain.values.data() + static_cast<std::size_t>(j) * shape.labels, shape.labels,
                    matrix.data() + static_cast<std::size_t>(j) * shape.stride);
    }
}

DenseCrf::Run::Run(const DenseCrf& crf, const std::vector<Pass>& passes, int threads, Workspace& workspace)
    : crf_(crf),
      passes_(passes),
      workspace_(workspace),
      vector_(vector_kernels()),
      shape_(row_shape(crf.labels_, vector_)),
      threads_(std::max(1, std::min(threads, static_cast<int>(crf.tiles_.size())))),
      one_tile_(crf.tiles_.size() == 1) {}

void DenseCrf::Run::execute() {
    allocate();
    run_team(threads_, [this](int worker, int team) { work(worker, team); });
}

// Everything the workers need, before any of them starts: from there on nothing can fail.
void DenseCrf::Run::allocate() {
    const std::size_t kernels = crf_.kernels_.size();
    workspace_.values.resize(std::max(workspace_.values.size(), 2 * kernels));
    workspace_.workers.resize(std::max(workspace_.workers.size(), static_cast<std::size_t>(threads_)));
    planes_.resize(kernels);
    streams_.resize(kernels);
    for (std::size_t k = 0; k < kernels; ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        streams_[k] = lattice.streams();
        planes_[k].read = lay_planes(workspace_.values[2 * k], lattice.vertices());
        planes_[k].write =
            one_tile_ ? planes_[k].read : lay_planes(workspace_.values[2 * k + 1], lattice.vertices());
        const int together = planes_together(lattice.vertices());
        for (int p = 0; p < shape_.planes(); p += together) {
            blur_tasks_.push_back({static_cast<int>(k), p, std::min(together, shape_.planes() - p)});
        }
    }
    // Long blurs first: they set the time of the phase.
    std::stable_sort(blur_tasks_.begin(), blur_tasks_.end(), [this](const BlurTask& a, const BlurTask& b) {
        return crf_.kernels_[a.kernel]->lattice->blur_steps() > crf_.kernels_[b.kernel]->lattice->blur_steps();
    });
    const Tile& largest = crf_.tiles_.front();
    const int rows_held = one_tile_ ? largest.rows : 1;
    for (int w = 0; w < threads_; ++w) {
        Workspace::Worker& worker = workspace_.workers[w];
        worker.rows.resize(static_cast<std::size_t>(rows_held) * largest.cols * shape_.stride);
        worker.message.resize(static_cast<std::size_t>(largest.cols) * shape_.stride);
        worker.before.resize(kernels);
        worker.after.resize(kernels);
        worker.own.resize(kernels);
        worker.own_vertex.resize(kernels);
        worker.borrowed.resize(kernels);
        worker.borrowed_vertex.resize(kernels);
        worker.borrowed_count.resize(kernels);
    }
    workers_.resize(threads_);
    for (int w = 0; w < threads_ && !one_tile_; ++w) {
        Workspace::Worker& worker = workspace_.workers[w];
        workers_[w].resize(kernels);
        for (std::size_t k = 0; k < kernels; ++k) {
            const int most = crf_.kernels_[k]->lattice->max_tile_vertices();
            workers_[w][k] = {lay_planes(worker.before[k], most), lay_planes(worker.after[k], most)};
            for (auto* list : {&worker.own, &worker.own_vertex, &worker.borrowed, &worker.borrowed_vertex}) {
                (*list)[k].resize(static_cast<std::size_t>(most) + 1);
            }
        }
    }
}

std::vector<float*> DenseCrf::Run::lay_planes(Buffer<float>& values, int vertices) const {
    const std::size_t rows = static_cast<std::size_t>(vertices) + 2;
    std::size_t lanes = 0;
    for (int p = 0; p < shape_.planes(); ++p) lanes += shape_.width(p);
    values.resize(rows * lanes);
    std::vector<float*> planes;
    float* next = values.data();
    for (int p = 0; p < shape_.planes(); ++p) {
        planes.push_back(next);
        const std::size_t width = shape_.width(p);
        std::fill_n(next + static_cast<std::size_t>(vertices) * width, 2 * width, 0.0f);
        next += rows * width;
    }
    return planes;
}

void DenseCrf::Run::work(int worker, int team) {
    for (const Pass& pass : passes_) {
        for (int i = 0; i < pass.times; ++i) run_pass(pass, worker, team);
    }
}

void DenseCrf::Run::run_pass(const Pass& pass, int worker, int team) {
    const int tiles = static_cast<int>(crf_.tiles_.size()), tasks = static_cast<int>(blur_tasks_.size());
    for (int t = turnstile_.take(); t < tiles; t = turnstile_.take()) tile_pass(pass, t, worker);
    barrier_.wait(team);
    if (pass.splat) {
        for (int i = next_blur_.fetch_add(1); i < tasks; i = next_blur_.fetch_add(1)) blur(i);
        barrier_.wait(team);
    }
    if (worker == 0) {
        turnstile_.reset();
        next_blur_.store(0);
        for (Planes& planes : planes_) std::swap(planes.read, planes.write);
    }
    barrier_.wait(team);
}

void DenseCrf::Run::tile_pass(const Pass& pass, int t, int worker) {
    const Tile& tile = crf_.tiles_[t];
    Workspace::Worker& own = workspace_.workers[worker];
    const std::size_t row_size = static_cast<std::size_t>(tile.cols) * shape_.stride;
    if (one_tile_) {
        for (int row = 0; row < tile.rows; ++row) {
            filter_row(pass, tile, row, own.rows.data() + row * row_size, worker);
        }
        if (!pass.splat) return turnstile_.leave(t);
        splat_only_tile(own.rows.data());
    } else {
        open_rows(pass, t, worker);
        for (int row = 0; row < tile.rows; ++row) {
            filter_row(pass, tile, row, own.rows.data(), worker);
            if (pass.splat) splat_row(tile, row, own.rows.data(), worker);
        }
    }
    if (pass.splat && !one_tile_) keep_own_rows(t, worker);
    turnstile_.wait_for(t);
    if (pass.splat && !one_tile_) add_borrowed_rows(t, worker);
    turnstile_.leave(t);
}

// An image of one tile sums where it has read.
void DenseCrf::Run::splat_only_tile(const float* q) {
    const Tile& tile = crf_.tiles_.front();
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const PixelCorners corners{lattice.corner(tile), lattice.splat_weight(tile), lattice.corners()};
        vector_.splat_first(shape_, q, corners, tile.pixels(), planes_[k].write.data());
        clear_unseen(k);
    }
}

// Vertices without a pixel.
void DenseCrf::Run::clear_unseen(std::size_t k) {
    const Lattice& lattice = *crf_.kernels_[k]->lattice;
    for (int p = 0; p < shape_.planes(); ++p) {
        const std::size_t width = shape_.width(p);
        std::fill_n(planes_[k].write[p] + lattice.seen_vertices() * width,
                    (lattice.vertices() - lattice.seen_vertices()) * width, 0.0f);
    }
}

// Fetches the vertex values of a tile and clears those it will sum into: a block that stays in the L2 cache, where
// the pixels' scattered reading and writing is done.
void DenseCrf::Run::open_rows(const Pass& pass, int t, int worker) {
    Workspace::Worker& own = workspace_.workers[worker];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const int count = lattice.tile_vertices(t), fresh = lattice.tile_fresh(t);
        const std::int32_t* vertex = lattice.tile_vertex(t);
        const Planes& here = workers_[worker][k];
        if (pass.filtered) {
            vector_.move_rows(shape_, count, planes_[k].read.data(), vertex, here.read.data(), nullptr, false);
        }
        if (!pass.splat) continue;
        for (int p = 0; p < shape_.planes(); ++p) {
            std::fill_n(here.write[p], static_cast<std::size_t>(count) * shape_.width(p), 0.0f);
        }
        int mine = 0, borrowed = 0;
        for (int i = 0; i < count; ++i) {  // entries are written before they are known to count: no branch
            own.own[k][mine] = own.borrowed[k][borrowed] = i;
            own.own_vertex[k][mine] = own.borrowed_vertex[k][borrowed] = vertex[i];
            borrowed += vertex[i] < fresh ? 1 : 0;
            mine += vertex[i] < fresh ? 0 : 1;
        }
        own.borrowed_count[k] = borrowed;
    }
}

void DenseCrf::Run::keep_own_rows(int t, int worker) {
    const Workspace::Worker& own = workspace_.workers[worker];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        vector_.move_rows(shape_, lattice.tile_fresh(t + 1) - lattice.tile_fresh(t),
                          workers_[worker][k].write.data(), own.own[k].data(), planes_[k].write.data(),
                          own.own_vertex[k].data(), false);
    }
}

// Adds what the tile summed for vertices of earlier tiles. Behind the turnstile, hence in tile order.
void DenseCrf::Run::add_borrowed_rows(int t, int worker) {
    const Workspace::Worker& own = workspace_.workers[worker];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        vector_.move_rows(shape_, own.borrowed_count[k], workers_[worker][k].write.data(), own.borrowed[k].data(),
                          planes_[k].write.data(), own.borrowed_vertex[k].data(), true);
        if (t == 0) clear_unseen(k);
    }
}

// One row of a tile: logits, and softmax where asked for.
void DenseCrf::Run::filter_row(const Pass& pass, const Tile& tile, int row, float* logits, int worker) {
    const int pixels = tile.cols;
    const std::size_t local = static_cast<std::size_t>(row) * pixels, labels = shape_.labels;
    const std::size_t image = (static_cast<std::size_t>(tile.row + row) * crf_.width_ + tile.col) * labels;
    const float rest = pass.softmax ? kNever : 0.0f;
    const int in_rows = crf_.kernel_in_rows();
    if (pass.filtered && in_rows >= 0) {  // the rows still hold q of the last pass
        const Kernel& kernel = *crf_.kernels_[in_rows];
        vector_.load_rows_and_self(shape_, pass.unary + image, pass.sign, rest, kernel.lattice->self(tile) + local,
                                   kernel.lane_gain.data(), pixels, logits);
    } else {
        vector_.load_rows(shape_, pass.unary + image, pass.sign, rest, pixels, logits);
    }
    for (std::size_t k = 0; pass.filtered && k < crf_.kernels_.size(); ++k) {
        if (static_cast<int>(k) == in_rows) continue;
        const Kernel& kernel = *crf_.kernels_[k];
        const Lattice& lattice = *kernel.lattice;
        float* sum = logits;
        if (!kernel.matrix.empty()) {
            sum = workspace_.workers[worker].message.data();
            std::fill_n(sum, static_cast<std::size_t>(pixels) * shape_.stride, 0.0f);
        }
        if (lattice.diagonal()) {
            vector_.add_self(shape_, pass.previous + image, lattice.self(tile) + local, kernel.lane_gain.data(),
                             pixels, sum);
        } else {
            const std::size_t at = local * lattice.corners();
            const PixelCorners corners{lattice.corner(tile) + at, lattice.slice_weight(tile) + at,
                                       lattice.corners()};
            const Planes& planes = one_tile_ ? planes_[k] : workers_[worker][k];
            vector_.slice(shape_, planes.read.data(), corners, kernel.lane_gain.data(), pixels, sum);
        }
        if (!kernel.matrix.empty()) vector_.mix(shape_, kernel.matrix.data(), sum, pixels, logits);
    }
    if (pass.softmax) {
        const std::size_t next_row = row + 1 < tile.rows ? crf_.width_ * labels : 0;
        vector_.softmax(shape_, pixels, logits, pass.unary + image + next_row);
    }
    if (pass.out != nullptr) vector_.store_rows(shape_, logits, pixels, pass.out + image);
}

void DenseCrf::Run::splat_row(const Tile& tile, int row, const float* q, int worker) {
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const std::size_t at = static_cast<std::size_t>(row) * tile.cols * lattice.corners();
        const PixelCorners corners{lattice.corner(tile) + at, lattice.splat_weight(tile) + at, lattice.corners()};
        const Planes& planes = one_tile_ ? planes_[k] : workers_[worker][k];
        vector_.splat(shape_, q, corners, tile.cols, planes.write.data());
    }
}

void DenseCrf::Run::blur(int task) {
    const BlurTask& which = blur_tasks_[task];
    const Lattice& lattice = *crf_.kernels_[which.kernel]->lattice;
    for (const BlurStream& stream : streams_[which.kernel]) {
        vector_.blur(shape_, stream, lattice.vertices(), which.plane, which.count,
                     planes_[which.kernel].write.data());
    }
}

// Planes that are blurred at a time: several while they fit the L2 cache together.
int DenseCrf::Run::planes_together(int vertices) const {
    constexpr std::size_t kCache = 1200 * 1024;
    const std::size_t plane = static_cast<std::size_t>(vertices) * shape_.lanes * sizeof(float);
    int together = 3;
    while (together > 1 && plane * together > kCache) --together;
    return together;
}

}  // namespace dense_crf
