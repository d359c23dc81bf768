// The permutohedral lattices of all pairwise terms of a batch of pictures, stacked: once built, a sparse matrix
// between points and rows, both ways round, and the neighbours of every row.
//
// Every picture has rows of its own, numbered from 0. Row 0 is always zero and stands for neighbours that do not
// exist; then come the vertices of one term after the other, the term of most dimensions first, so that the rows
// that are blurred along an axis are the first so many. Values are held twice: a blur reads one copy and writes
// the other, and a corner names the copy that its term's values end up in.
#pragma once

#include <functional>

#include "../problem.h"
#include "runtime.h"
#include "survey.h"

namespace densecrf::cuda {

// A pairwise term of a batch of pictures, with arrays on the device.
struct DeviceTerm {
    Term term;
    std::vector<double> channel_bound;  // the largest |value| of each channel, as the sigmas see it
    const SurveyBits* range =
        nullptr;  // [pictures]; pictures that lie in 0..1 are scaled to 0..255; null for none
};

// Of a point: a row of its picture, plus the number of its rows where the second copy is meant.
struct alignas(8) Corner {  // one load
    uint32_t row;
    float weight;
};

// Of a row: one of the points around it.
struct alignas(8) Entry {
    uint32_t point;  // of the picture
    float weight;
};

struct alignas(8) Neighbours {
    uint32_t before, after;  // rows; 0 for none
};

// Part of a row's entries, where they are too many for one thread.
struct Segment {
    uint32_t row, begin, end;  // of the picture
};

// Where a picture's parts lie in the arrays of all.
struct PictureRows {
    int64_t first_row;   // among all rows
    int64_t first_list;  // in `list`, which has one more than rows for every picture
    uint32_t rows;
};

// The rows of a picture that are blurred along an axis: all below `end`. Their neighbours begin at `first`.
struct AxisRows {
    int64_t first;
    uint32_t end;
};

// What kernels see of a lattice. K corners per point, of all terms together.
struct LatticeView {
    int64_t points;                  // N
    int corners;                     // K
    const PictureRows* picture;      // [pictures]
    const Corner* corner;            // [pictures][N][K]
    const Entry* entry;              // [pictures][N * K], row by row
    const uint32_t* list;            // [pictures][rows + 1]: where a row's entries begin
    const uint32_t* segments_up_to;  // [pictures][rows + 1]: running sum over all pictures
    const Segment* segment;          // [pictures][most_segments]
    int64_t most_segments;           // of a picture
};

struct Axis {
    Array<AxisRows> rows;  // [pictures]
    Array<Neighbours> neighbours;
    int64_t most_rows;  // of a picture
};

// A compatibility that values are multiplied with after the blur, because no corner weight can hold it: a number,
// [L], or [L, L] from the label that is around to the label that gains.
struct Mixing {
    Compatibility::Kind kind;
    float number;
    Array<float> values;
    int copy;              // that the blur leaves the values in; they are moved to the other
    Array<uint32_t> rows;  // [pictures][2]: first row and end
    int64_t most_rows;     // of a picture
};

struct Lattice {
    int pictures;
    int64_t points;
    int corners;
    int64_t rows;       // of all pictures
    int64_t most_rows;  // of a picture
    int64_t most_segments;
    Array<PictureRows> picture;
    Array<Corner> corner;
    Array<Entry> entry;
    Array<uint32_t> list, segments_up_to;
    Array<Segment> segment;
    std::vector<Axis> axes;
    std::vector<Mixing> mixing;
    float weights;    // sum of the positive numbers among the compatibilities
    bool normalised;  // all terms

    LatticeView view() const {
        return {points,       corners,     picture.data(),        corner.data(),
                entry.data(), list.data(), segments_up_to.data(), segment.data(),
                most_segments};
    }
    // Vertices of all terms and pictures.
    int64_t vertices() const { return rows - pictures; }
};

// Waits once, for the number of vertices; `before_waiting` may add downloads of its own. Throws std::domain_error
// where a sigma is too small, or there is more than 32 bits can number.
Lattice build_lattice(const Context& context, const Grid& grid, int pictures, const std::vector<DeviceTerm>& terms,
                      const std::function<void()>& before_waiting);

}  // namespace densecrf::cuda
