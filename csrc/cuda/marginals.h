// From scores and messages to marginals: the one pass over the points that an iteration makes. Slice, soft-max
// over all labels, and out: as rows of points for the next splat, or as planes for the caller.
#pragma once

#include "label_sets.h"

namespace densecrf::cuda {

// What exponents begin with: scores, planes as they are, nothing.
enum class Begin { kScores, kValues, kZero };

struct Pass {
    LatticeView lattice;
    int labels;  // L
    const PictureState* state;
    const int* lists;

    // In: planes [pictures][L][N], and the messages of the lattice where they are wanted.
    Begin begin;
    const float* planes;
    Scores kind;
    float clip;
    bool messages;
    LatticeRows<Four> values;

    bool softmax;  // or what comes in goes out
    float floor;   // exponents so far below the largest count as this

    // Out: rows of points, or planes [pictures][L][N].
    PointRows rows;
    float* out;   // null for rows
    float scale;  // of planes

    // Noted on the way: null where nobody asks.
    float* peaks;            // [pictures][L], the largest marginal of each label
    PictureState* progress;  // the largest change to the rows before, of which `damping` is kept
    float damping;
};

void run_pass(const Context& context, int pictures, const Pass& pass);

// Rows of points to narrower ones in the other buffer, in pictures whose labels were chosen anew.
void narrow_rows(const Context& context, int pictures, const Pass& pass);

}  // namespace densecrf::cuda
