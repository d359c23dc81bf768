// Some of the labels: those that take part in filtering, and what inference keeps of the unaries for them.
//
// On a network's output few labels are likely anywhere, and fewer after an iteration. A label whose marginal is
// small everywhere sends messages as small as itself, so it is left out of the lattice. It is not forgotten: its
// share of every soft-max stays, as its part of the `rest`. What is lost are only its own messages to itself, so
// the error of a tolerance t is of the order of t squared.
#pragma once

#include "passes.h"

namespace densecrf::cpu {

struct LabelSet {
    LabelSet(const PointOrder& order, const Lattice& lattice, std::vector<int> labels, int of);

    bool whole() const { return rest.size() == 0; }

    // Rows [count][stride] of all labels -> rows of these, and back, where they are added.
    void pick(int count, const float* all, int stride, float* some) const;
    void add_to(int count, const float* some, float* all, int stride) const;

    // Unaries of all labels at a run of points -> unaries and rest of this set.
    void take_unaries(const Run& run, const float* all, int stride, Scratch& scratch);

    const std::vector<int> labels;  // numbers of the caller's labels, ascending
    const Passes passes;
    BlockedValues unaries;  // [N], log2, the largest of all labels at 0
    Array<float> rest;      // [N], log2 of the sum over the labels left out; empty if there are none

  private:
    Array<float> dropped_;  // [stride of all labels], for Kernels::sum_dropped
};

}  // namespace densecrf::cpu
