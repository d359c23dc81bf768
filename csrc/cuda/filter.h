// Filtering values through a lattice, all terms and pictures in one launch each: splat, blur along every axis,
// mixing of labels. A row is cut into parts of four labels, and a thread has one part of one row.
#pragma once

#include <type_traits>

#include "lattice.h"
#include "launch.h"
#include "row.h"

namespace densecrf::cuda {

// Rows of values, [pictures][rows of the picture][parts]. Memory is there for `most` parts; a picture whose labels
// do not all take part has narrower rows, close together.
template <class Part>
struct Rows {
    Part* data;
    int most;
    const int* in_use;  // [pictures]; null where it is always `most`. 0: nothing is filtered any more

    DENSECRF_DEVICE int parts(int picture) const { return in_use ? in_use[picture] : most; }
};

// The two copies of the lattice's values: the second of a picture begins where its first ends.
template <class Part>
struct LatticeRows : Rows<Part> {
    DENSECRF_DEVICE Part* of(const PictureRows& picture) const {
        return this->data + 2 * picture.first_row * this->most;
    }
};

// What is splatted: rows of points, or ones.
struct Ones {
    DENSECRF_DEVICE Ones of(int) const { return {}; }
    DENSECRF_DEVICE float operator[](int64_t) const { return 1.0f; }
};

// Rows of so many points are summed up by one thread a part; longer ones in segments of about the square root of
// their length, so that the longest chain of additions stays short.
constexpr uint32_t kShortRow = 64;

DENSECRF_DEVICE uint32_t segment_length(uint32_t entries) {
    const auto root = static_cast<uint32_t>(ceilf(sqrtf(static_cast<float>(entries))));
    return root > kShortRow ? root : kShortRow;
}

DENSECRF_DEVICE uint32_t segments_of(uint32_t entries) {
    const uint32_t length = segment_length(entries);
    return entries > kShortRow ? (entries + length - 1) / length : 0;
}

// Of N * K entries in rows longer than kShortRow, at most this many segments are made.
inline int64_t most_segments(int64_t entries) {
    return 2 * entries / kShortRow + 1;
}

// Segments that a picture's rows before this one have; row = rows for all.
DENSECRF_DEVICE uint32_t segments_before(const LatticeView& lattice, const PictureRows& picture, uint32_t row) {
    const uint32_t* up_to = lattice.segments_up_to + picture.first_list;  // row 0 has none
    return row == 0 ? 0 : up_to[row - 1] - up_to[0];
}

// The first copy becomes what the points around a row add up to. Short rows at once, segments of long ones apart.
template <class Part, class Source>
struct Splat {
    LatticeView lattice;
    Source source;
    LatticeRows<Part> values;
    Part* partial;  // [pictures][most_segments][parts]

    template <class Values>
    DENSECRF_DEVICE Part sum(int picture, uint32_t begin, uint32_t end, const Values& from, RowPart at,
                             int parts) const {
        const Entry* entry = lattice.entry + picture * lattice.points * lattice.corners;
        Part sum = zero<Part>();
        DENSECRF_UNROLL
        for (uint32_t e = begin; e < end; ++e)
            sum = added(sum, entry[e].weight, from[static_cast<int64_t>(entry[e].point) * parts + at.part]);
        return sum;
    }

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const int parts = values.parts(picture);
        if (parts == 0) return;
        const RowPart at = row_part(i, parts);
        const PictureRows& rows = lattice.picture[picture];
        const auto from = source.of(picture);
        if (at.row < rows.rows) {
            const uint32_t* list = lattice.list + rows.first_list + at.row;
            if (list[1] - list[0] > kShortRow) return;
            values.of(rows)[at.row * parts + at.part] = sum(picture, list[0], list[1], from, at, parts);
            return;
        }
        const int64_t s = at.row - rows.rows;
        if (s >= segments_before(lattice, rows, rows.rows)) return;
        const int64_t place = picture * lattice.most_segments + s;
        const Segment& segment = lattice.segment[place];
        partial[picture * lattice.most_segments * values.most + s * parts + at.part] =
            sum(picture, segment.begin, segment.end, from, at, parts);
    }
};

// Long rows from their segments, in order.
template <class Part>
struct JoinSegments {
    LatticeView lattice;
    LatticeRows<Part> values;
    const Part* partial;

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const int parts = values.parts(picture);
        if (parts == 0) return;
        const RowPart at = row_part(i, parts);
        const PictureRows& rows = lattice.picture[picture];
        if (at.row >= segments_before(lattice, rows, rows.rows)) return;
        const Segment* segment = lattice.segment + picture * lattice.most_segments + at.row;
        const uint32_t* list = lattice.list + rows.first_list + segment->row;
        if (segment->begin != list[0]) return;
        const uint32_t count = segments_of(list[1] - list[0]);
        const Part* from = partial + picture * lattice.most_segments * values.most + at.row * parts + at.part;
        Part sum = zero<Part>();
        for (uint32_t s = 0; s < count; ++s) sum = added(sum, 1.0f, from[static_cast<int64_t>(s) * parts]);
        values.of(rows)[static_cast<int64_t>(segment->row) * parts + at.part] = sum;
    }
};

// One axis: from one copy to the other, row + (before + after) / 2 (Krähenbühl's 1-2-1 filter, times two).
template <class Part>
struct Blur {
    LatticeView lattice;
    const AxisRows* axis;  // [pictures]
    const Neighbours* neighbours;
    LatticeRows<Part> values;
    int from_copy;

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const int parts = values.parts(picture);
        if (parts == 0) return;
        const RowPart at = row_part(i, parts);
        if (at.row >= axis[picture].end) return;
        const PictureRows& rows = lattice.picture[picture];
        const int64_t copy = static_cast<int64_t>(rows.rows) * parts;
        const Part* from = values.of(rows) + from_copy * copy + at.part;
        Part* to = values.of(rows) + (1 - from_copy) * copy + at.part;
        const Neighbours near = neighbours[axis[picture].first + at.row];
        const Part sides = added(from[static_cast<int64_t>(near.before) * parts], 1.0f,
                                 from[static_cast<int64_t>(near.after) * parts]);
        to[at.row * parts] = added(from[at.row * parts], 0.5f, sides);
    }
};

// Rows of one term to the other copy, changed on the way: change(row, part).
template <class Part, class Change>
struct Mix {
    LatticeView lattice;
    const uint32_t* range;  // [pictures][2]: first row and end
    LatticeRows<Part> values;
    int from_copy;
    Change change;

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const int parts = values.parts(picture);
        if (parts == 0) return;
        const RowPart at = row_part(i, parts);
        const int64_t row = range[2 * picture] + at.row;
        if (row >= range[2 * picture + 1]) return;
        const PictureRows& rows = lattice.picture[picture];
        const int64_t copy = static_cast<int64_t>(rows.rows) * parts;
        const Part* from = values.of(rows) + from_copy * copy + row * parts;
        values.of(rows)[(1 - from_copy) * copy + row * parts + at.part] = change(from, at.part);
    }
};

template <class Part, class Source>
void splat(const Context& context, const Lattice& lattice, const Source& source, const LatticeRows<Part>& values,
           Part* partial) {
    const int64_t parts = values.most;
    for_each(context, lattice.pictures, (lattice.most_rows + lattice.most_segments) * parts,
             Splat<Part, Source>{lattice.view(), source, values, partial});
    for_each(context, lattice.pictures, lattice.most_segments * parts,
             JoinSegments<Part>{lattice.view(), values, partial});
}

// Every term's values end up in the copy that its corners name, if its mixing moves them.
template <class Part>
void blur(const Context& context, const Lattice& lattice, const LatticeRows<Part>& values) {
    for (size_t a = 0; a < lattice.axes.size(); ++a) {
        const Axis& axis = lattice.axes[a];
        for_each(
            context, lattice.pictures, axis.most_rows * values.most,
            Blur<Part>{lattice.view(), axis.rows.data(), axis.neighbours.data(), values, static_cast<int>(a % 2)});
    }
}

// Calls change_of(mixing) for what changes the values of each term that the corner weights cannot hold all of.
template <class Part, class ChangeOf>
void mix(const Context& context, const Lattice& lattice, const LatticeRows<Part>& values,
         const ChangeOf& change_of) {
    for (const Mixing& mixing : lattice.mixing) {
        const auto change = change_of(mixing);
        for_each(context, lattice.pictures, mixing.most_rows * values.most,
                 Mix<Part, std::decay_t<decltype(change)>>{lattice.view(), mixing.rows.data(), values, mixing.copy,
                                                           change});
    }
}

}  // namespace densecrf::cuda
