#include "label_set.h"

#include <algorithm>

namespace densecrf::cpu {

LabelSet::LabelSet(const PointOrder& order, const Lattice& lattice, std::vector<int> some, int of)
    : labels(std::move(some)), passes(order, lattice, static_cast<int>(labels.size())) {
    passes.shape_points(unaries);
    if (static_cast<int>(labels.size()) == of) return;
    constexpr float kKept = -512.0f;
    rest = Array<float>(order.points());
    dropped_ = Array<float>(padded(of));
    std::fill_n(dropped_.data(), dropped_.size(), 0.0f);
    for (const int label : labels) dropped_[label] = kKept;
}

void LabelSet::pick(int count, const float* all, int stride, float* some) const {
    for (int p = 0; p < count; ++p)
        for (size_t i = 0; i < labels.size(); ++i) some[p * passes.stride() + i] = all[p * stride + labels[i]];
}

void LabelSet::add_to(int count, const float* some, float* all, int stride) const {
    for (int p = 0; p < count; ++p)
        for (size_t i = 0; i < labels.size(); ++i) all[p * stride + labels[i]] += some[p * passes.stride() + i];
}

void LabelSet::take_unaries(const Run& run, const float* all, int stride, Scratch& scratch) {
    pick(run.count, all, stride, scratch.x.data());
    passes.keep(run, scratch.x.data(), unaries);
    kernels().sum_dropped(run.count, all, dropped_.data(), rest.data() + run.start, stride);
}

}  // namespace densecrf::cpu
