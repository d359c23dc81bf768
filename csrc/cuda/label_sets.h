// Which labels of each picture take part in filtering. Decided on the device, so that the host never waits.
//
// On a network's output few labels are likely anywhere. A label whose marginal stays below a tolerance t at every
// point sends messages below its weight times t, to itself alone; it is left out of the lattice, and what is lost
// is of the order of t squared. The soft-max always goes over all labels, so a label that was left out and grows
// is seen, and then all labels take part again.
#pragma once

#include "../simplex.h"
#include "filter.h"

namespace densecrf::cuda {

// Labels numbered list[0] < list[1] < ... take part; their values lie side by side in rows of so many parts.
struct LabelSet {
    int slot;  // of the lists of a picture: 0 is all labels
    int labels, parts;
};

// What is known of a picture while it is inferred.
struct PictureState {
    LabelSet rows;    // that the next marginals are written for
    LabelSet values;  // that the lattice holds
    LabelSet before;  // that the last marginals were written for, where they have to move
    int buffer;       // of two, that holds the rows of points
    int moves;        // whether they have to move to narrower rows
    int open;         // whether labels may still drop out
    int settled;      // iterations after which nothing changed any more; 0 while something does
    float change;     // the largest of any marginal in this iteration
};

// Rows of points [pictures][N][parts], in the one of two buffers that a picture's state names.
struct PointRows {
    Four* buffer[2];
    const PictureState* state;
    int64_t points;  // N
    int most;        // parts that there is room for

    DENSECRF_DEVICE Four* of(int picture) const { return buffer[state[picture].buffer] + picture * points * most; }
    DENSECRF_DEVICE Four* before(int picture) const {
        return buffer[1 - state[picture].buffer] + picture * points * most;
    }
};

constexpr int kLabelLists = 3;  // all labels, and two sets in turn

// With more labels than a block's memory holds, all take part.
constexpr int kMostChosenFrom = 4096;

DENSECRF_HD int parts_of(int labels) {
    return (labels + 3) / 4;
}

class LabelSets {
  public:
    // tolerance 0: all labels take part, for good.
    LabelSets(const Context& context, int pictures, int labels, float tolerance);

    PictureState* state() const { return state_.data(); }
    const int* parts() const { return parts_.data(); }  // [pictures], of the lattice's rows; 0 when settled
    const int* lists() const { return lists_.data(); }  // [pictures][kLabelLists][labels]
    float* peaks() const { return peaks_.data(); }      // [pictures][labels], largest marginals; null if closed
    bool may_choose() const { return peaks_.size() > 0; }

    // After the marginals of an iteration: labels may drop out, or come back.
    void choose(const Context& context, int iteration) const;

    // Whether the marginals of an iteration moved by no more than the tolerance; if so nothing moves from then on.
    void settle(const Context& context, int iteration, float tolerance) const;

  private:
    int pictures_, labels_;
    float tolerance_;
    Array<PictureState> state_;
    Array<int> parts_, lists_;
    Array<float> peaks_;
};

}  // namespace densecrf::cuda
