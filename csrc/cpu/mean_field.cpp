// The engine. One iteration is one pass over the points and one blur:
//
//     pass, per run of up to 32 points:   slice (+ unary) -> soft-max -> splat into the other buffer
//     blur that buffer; swap
//
// The marginals Q of an iteration exist only for the 32 points at hand. Everything is in units of log2, so the
// soft-max is a power of two; messages arrive in those units because the corner weights carry the factor.
//
// Values have one row per lattice vertex or point, L labels padded to a multiple of 8, cut into label blocks of
// 16 (then 8): block b is an array [rows][width] of its own, so a 16-wide row is exactly one cache line.
#include "mean_field.h"

#include <algorithm>
#include <cstring>

#include "kernels.h"
#include "lattice.h"
#include "memory.h"
#include "point_order.h"
#include "team.h"

namespace densecrf::cpu {
namespace {

// Marginals below 2^-60 count as 2^-60 on their way into the lattice: no denormal numbers, and no difference
// that a float sum could show. The result itself is exact down to the smallest normal float.
constexpr float kFloorInside = -60.0f, kFloorResult = -125.0f;

int padded(int labels) {
    return (labels + 7) / 8 * 8;
}

std::vector<BlockKernels> label_blocks(int labels) {
    std::vector<BlockKernels> blocks(padded(labels) / 16, kernels().sixteen);
    if (padded(labels) % 16) blocks.push_back(kernels().eight);
    return blocks;
}

// Values of all label blocks, [rows][width] each, in one allocation.
class BlockedValues {
  public:
    BlockedValues() = default;
    BlockedValues(const std::vector<BlockKernels>& blocks, int64_t rows) {
        int64_t size = 0;
        std::vector<int64_t> offsets;
        for (const BlockKernels& block : blocks) {
            offsets.push_back(size);
            size += rows * block.width;
        }
        memory_ = Array<float>(static_cast<size_t>(size));
        for (int64_t offset : offsets) blocks_.push_back(memory_.data() + offset);
    }
    float* const* blocks() const { return blocks_.data(); }
    float* operator[](size_t block) const { return blocks_[block]; }

  private:
    Array<float> memory_;
    std::vector<float*> blocks_;
};

// Room for one run of points: exponents x, marginals q [kRunLength, padded labels], and columns to transpose.
struct Scratch {
    explicit Scratch(int stride) : x(kRunLength * stride), q(kRunLength * stride), columns(8 * stride) {
        std::memset(x.data(), 0, x.size() * sizeof(float));  // rows beyond a run's end are read, not used
    }
    Array<float> x, q, columns;
};

class MeanField {
  public:
    MeanField(const Problem& problem, const PointOrder& order, Lattice& lattice, float* marginals)
        : problem_(problem),
          order_(order),
          lattice_(lattice),
          labels_(problem.unary.labels),
          stride_(padded(labels_)),
          blocks_(label_blocks(labels_)),
          scores_{problem.unary.scores, order.points(), labels_},
          marginals_{marginals, order.points(), labels_} {}

    // Called by every thread of the team, after the lattice is built.
    void run(Team& team, int thread) {
        team.once(thread, [&] { allocate_values(); });
        Scratch scratch(stride_);
        for (int i = 0; i < problem_.iterations; ++i) {
            const BlockedValues &from = values_[i % 2], &to = values_[(i + 1) % 2];
            team.each(thread, order_.partitions(), [&](int64_t p) {
                clear(static_cast<int>(p), to);
                for_each_run(p, [&](const Run& run) {
                    i == 0 ? read_unary(run, scratch) : slice(run, from, scratch);
                    kernels().softmax(run.count, labels_, kFloorInside, scratch.x.data(), scratch.q.data(),
                                      stride_);
                    splat(run, scratch, to);
                });
            });
            blur(lattice_, blocks_, to.blocks(), team, thread);
        }
        const BlockedValues& from = values_[problem_.iterations % 2];
        team.each(thread, order_.partitions(), [&](int64_t p) {
            for_each_run(p, [&](const Run& run) {
                problem_.iterations == 0 ? read_scores(run, scratch) : slice(run, from, scratch);
                kernels().softmax(run.count, labels_, kFloorResult, scratch.x.data(), scratch.q.data(), stride_);
                kernels().write(run.count, scratch.q.data(), stride_, marginals_, run.first);
            });
        });
    }

  private:
    size_t values_bytes(int64_t rows) const { return static_cast<size_t>(rows) * stride_ * sizeof(float); }

    void allocate_values() {
        if (problem_.iterations == 0) return;
        require_memory(values_bytes(order_.points() + 2 * lattice_.rows()));
        unary_ = BlockedValues(blocks_, order_.points());
        for (BlockedValues& values : values_) values = BlockedValues(blocks_, lattice_.rows());
    }

    template <class Body>
    void for_each_run(int64_t partition, const Body& body) {
        const int p = static_cast<int>(partition);
        for (const Run* run = order_.begin(p); run != order_.end(p); ++run) body(*run);
    }

    void clear(int partition, const BlockedValues& values) {
        for (const TermLattice& term : lattice_.terms()) {
            const int64_t first = term.first_row[partition], end = term.first_row[partition + 1];
            for (size_t b = 0; b < blocks_.size(); ++b)
                std::memset(values[b] + first * blocks_[b].width, 0,
                            (end - first) * blocks_[b].width * sizeof(float));
        }
    }

    void read_scores(const Run& run, Scratch& scratch) {
        const Unary& unary = problem_.unary;
        float *x = scratch.x.data(), *columns = scratch.columns.data();
        if (unary.logits)
            kernels().read_logits(scores_, run.first, run.count, x, stride_, columns);
        else
            kernels().read_probs(scores_, unary.clip, run.first, run.count, x, stride_, columns);
    }

    // Reads a run's scores and keeps them, in the order of the points, for the iterations to come.
    void read_unary(const Run& run, Scratch& scratch) {
        read_scores(run, scratch);
        int first_label = 0;
        for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width) {
            const int width = blocks_[b].width;
            for (int p = 0; p < run.count; ++p)
                std::memcpy(unary_[b] + (run.start + p) * width, &scratch.x[p * stride_ + first_label],
                            width * sizeof(float));
        }
    }

    void slice(const Run& run, const BlockedValues& from, Scratch& scratch) {
        const Corners corners = lattice_.slice_corners(run.start);
        int first_label = 0;
        for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width)
            blocks_[b].slice(run.count, corners, from[b], unary_[b] + run.start * blocks_[b].width,
                             &scratch.x[first_label], stride_);
    }

    void splat(const Run& run, const Scratch& scratch, const BlockedValues& to) {
        const Corners corners = lattice_.splat_corners(run.start);
        int first_label = 0;
        for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width)
            blocks_[b].splat(run.count, corners, &scratch.q[first_label], stride_, to[b]);
    }

    const Problem& problem_;
    const PointOrder& order_;
    Lattice& lattice_;
    const int labels_, stride_;
    const std::vector<BlockKernels> blocks_;
    const Planes<const float> scores_;
    const Planes<float> marginals_;
    BlockedValues unary_;      // [N]
    BlockedValues values_[2];  // [lattice rows]; an iteration slices one and splats into the other
};

}  // namespace

size_t least_memory(const Problem& problem) {
    size_t corners = 0;
    for (const Term& term : problem.terms) corners += term.dims() + 1;
    const size_t per_point =
        corners * (sizeof(uint32_t) + sizeof(float)) + padded(problem.unary.labels) * sizeof(float);
    return problem.iterations == 0 ? 0 : static_cast<size_t>(problem.grid.points()) * per_point;
}

void infer(const Problem& problem, int threads, float* marginals) {
    require_memory(least_memory(problem));
    try {
        const PointOrder order(problem.grid);
        Lattice lattice(order, problem.grid, problem.channels,
                        problem.iterations ? problem.terms : std::vector<Term>{});
        MeanField mean_field(problem, order, lattice, marginals);
        Team team(std::min(threads, order.partitions()));
        team.run([&](int thread) {
            lattice.build(team, thread);
            mean_field.run(team, thread);
        });
    } catch (const OutOfMemory&) {
        throw;
    } catch (const std::bad_alloc&) {  // from a container, which does not say how much
        throw OutOfMemory("memory ran out; this picture needs at least " +
                          std::to_string(1 + (least_memory(problem) >> 20)) + " MiB");
    }
}

}  // namespace densecrf::cpu
