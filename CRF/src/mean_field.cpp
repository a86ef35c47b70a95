#include "mean_field.h"

#include <algorithm>
#include <cstring>

namespace dense_crf {

void DenseCrf::Kernel::spread_gain(const RowShape& shape) {
    const float alpha = lattice->diagonal() ? 1.0f : lattice->alpha();
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
      one_tile_(crf.tiles_.size() == 1),
      barrier_(threads_) {}

void DenseCrf::Run::execute() {
    allocate();
    run_team(threads_, [this](int worker) { work(worker); });
}

// Everything the workers need, before any of them starts: from there on nothing can fail.
void DenseCrf::Run::allocate() {
    const std::size_t kernels = crf_.kernels_.size();
    workspace_.values.resize(std::max(workspace_.values.size(), 2 * kernels));
    workspace_.workers.resize(std::max(workspace_.workers.size(), static_cast<std::size_t>(threads_)));
    planes_.resize(kernels);
    scratch_row_.resize(kernels);
    int most_vertices = 0;
    for (std::size_t k = 0; k < kernels; ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        scratch_row_[k] = lattice.vertices() + 2;
        most_vertices = std::max(most_vertices, lattice.max_tile_vertices());
        const std::size_t rows = static_cast<std::size_t>(scratch_row_[k]) +
                                 static_cast<std::size_t>(lattice.max_tile_borrowed()) * threads_;
        planes_[k].read = lay_planes(workspace_.values[2 * k], lattice.vertices(), rows);
        planes_[k].write =
            one_tile_ ? planes_[k].read : lay_planes(workspace_.values[2 * k + 1], lattice.vertices(), rows);
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
        worker.splat_row.resize(kernels * static_cast<std::size_t>(most_vertices));
        worker.borrowed.resize(kernels * static_cast<std::size_t>(most_vertices));
        worker.borrowed_count.resize(kernels);
        worker.kernel_stride = static_cast<std::size_t>(most_vertices);
    }
}

std::vector<float*> DenseCrf::Run::lay_planes(Buffer<float>& values, int vertices, std::size_t rows) const {
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

void DenseCrf::Run::work(int worker) {
    const int tiles = static_cast<int>(crf_.tiles_.size()), tasks = static_cast<int>(blur_tasks_.size());
    for (const Pass& pass : passes_) {
        for (int t = turnstile_.take(); t < tiles; t = turnstile_.take()) tile_pass(pass, t, worker);
        barrier_.wait();
        if (pass.splat) {
            for (int i = next_blur_.fetch_add(1); i < tasks; i = next_blur_.fetch_add(1)) blur(i);
            barrier_.wait();
        }
        if (worker == 0) {
            turnstile_.reset();
            next_blur_.store(0);
            for (Planes& planes : planes_) std::swap(planes.read, planes.write);
        }
        barrier_.wait();
    }
}

void DenseCrf::Run::tile_pass(const Pass& pass, int t, int worker) {
    const Tile& tile = crf_.tiles_[t];
    Workspace::Worker& own = workspace_.workers[worker];
    const std::size_t row_size = static_cast<std::size_t>(tile.cols) * shape_.stride;
    if (one_tile_) {
        for (int row = 0; row < tile.rows; ++row) {
            filter_row(pass, tile, t, row, own.rows.data() + row * row_size, own);
        }
        if (!pass.splat) return turnstile_.leave(t);
        open_rows(t, worker);
        for (int row = 0; row < tile.rows; ++row) splat_row(tile, row, own.rows.data() + row * row_size, own);
    } else {
        if (pass.splat) open_rows(t, worker);
        for (int row = 0; row < tile.rows; ++row) {
            filter_row(pass, tile, t, row, own.rows.data(), own);
            if (pass.splat) splat_row(tile, row, own.rows.data(), own);
        }
    }
    turnstile_.wait_for(t);
    if (pass.splat) close_rows(t, worker);
    turnstile_.leave(t);
}

// Sets the rows that a tile sums into to 0 and lists them: its own vertices', or scratch rows for borrowed ones.
void DenseCrf::Run::open_rows(int t, int worker) {
    Workspace::Worker& own = workspace_.workers[worker];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const int count = lattice.tile_vertices(t), fresh = lattice.tile_fresh(t), end = lattice.tile_fresh(t + 1);
        const std::int32_t* vertex = lattice.tile_vertex(t);
        std::int32_t* row = own.splat_row.data() + k * own.kernel_stride;
        std::int32_t* borrowed = own.borrowed.data() + k * own.kernel_stride;
        const std::int32_t scratch = scratch_row_[k] + worker * lattice.max_tile_borrowed();
        int n = 0;
        for (int i = 0; i < count; ++i) {
            const bool is_borrowed = vertex[i] < fresh;
            row[i] = is_borrowed ? scratch + n : vertex[i];
            borrowed[n] = vertex[i];
            n += is_borrowed ? 1 : 0;
        }
        own.borrowed_count[k] = n;
        for (int p = 0; p < shape_.planes(); ++p) {
            const std::size_t width = shape_.width(p);
            float* plane = planes_[k].write[p];
            std::fill_n(plane + fresh * width, (end - fresh) * width, 0.0f);
            std::fill_n(plane + scratch * width, n * width, 0.0f);
        }
    }
}

// Adds what the tile summed for vertices of earlier tiles. Behind the turnstile, hence in tile order.
void DenseCrf::Run::close_rows(int t, int worker) {
    const Workspace::Worker& own = workspace_.workers[worker];
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const std::int32_t scratch = scratch_row_[k] + worker * lattice.max_tile_borrowed();
        vector_.add_rows(shape_, own.borrowed.data() + k * own.kernel_stride, own.borrowed_count[k], scratch,
                         planes_[k].write.data());
        for (int p = 0; t == 0 && p < shape_.planes(); ++p) {  // vertices without a pixel
            const std::size_t width = shape_.width(p);
            std::fill_n(planes_[k].write[p] + lattice.seen_vertices() * width,
                        (lattice.vertices() - lattice.seen_vertices()) * width, 0.0f);
        }
    }
}

// One row of a tile: logits, and softmax where asked for.
void DenseCrf::Run::filter_row(const Pass& pass, const Tile& tile, int t, int row, float* logits,
                               Workspace::Worker& worker) {
    const int pixels = tile.cols;
    const std::size_t local = static_cast<std::size_t>(row) * pixels, labels = shape_.labels;
    const std::size_t image = (static_cast<std::size_t>(tile.row + row) * crf_.width_ + tile.col) * labels;
    vector_.load_rows(shape_, pass.unary + image, pass.sign, pass.softmax ? kNever : 0.0f, pixels, logits);
    for (std::size_t k = 0; pass.filtered && k < crf_.kernels_.size(); ++k) {
        const Kernel& kernel = *crf_.kernels_[k];
        const Lattice& lattice = *kernel.lattice;
        float* sum = logits;
        if (!kernel.matrix.empty()) {
            sum = worker.message.data();
            std::fill_n(sum, static_cast<std::size_t>(pixels) * shape_.stride, 0.0f);
        }
        if (lattice.diagonal()) {
            vector_.add_self(shape_, pass.previous + image, lattice.self(tile) + local, kernel.lane_gain.data(),
                             pixels, sum);
        } else {
            const std::size_t at = local * lattice.corners();
            const PixelCorners corners{lattice.corner(tile) + at, lattice.slice_weight(tile) + at,
                                       one_tile_ ? nullptr : lattice.tile_vertex(t), lattice.corners()};
            vector_.slice(shape_, planes_[k].read.data(), corners, kernel.lane_gain.data(), pixels, sum);
        }
        if (!kernel.matrix.empty()) vector_.mix(shape_, kernel.matrix.data(), sum, pixels, logits);
    }
    if (pass.softmax) vector_.softmax(shape_, pixels, logits);
    if (pass.out != nullptr) vector_.store_rows(shape_, logits, pixels, pass.out + image);
}

void DenseCrf::Run::splat_row(const Tile& tile, int row, const float* q, const Workspace::Worker& worker) {
    for (std::size_t k = 0; k < crf_.kernels_.size(); ++k) {
        const Lattice& lattice = *crf_.kernels_[k]->lattice;
        if (lattice.diagonal()) continue;
        const std::size_t at = static_cast<std::size_t>(row) * tile.cols * lattice.corners();
        const PixelCorners corners{lattice.corner(tile) + at, lattice.splat_weight(tile) + at,
                                   one_tile_ ? nullptr : worker.splat_row.data() + k * worker.kernel_stride,
                                   lattice.corners()};
        vector_.splat(shape_, q, corners, tile.cols, planes_[k].write.data());
    }
}

void DenseCrf::Run::blur(int task) {
    const BlurTask& which = blur_tasks_[task];
    const Lattice& lattice = *crf_.kernels_[which.kernel]->lattice;
    for (const BlurStream& stream : lattice.streams()) {
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
