// The vertices of one term, numbered: by sorting the keys of all corners and counting the different ones. The
// order of corners around a vertex that sorting leaves behind is the list that a splat gathers from.
#pragma once

#include "embed.h"

namespace densecrf::cuda {

struct TermVertices {
    BatchKeys keys;
    int corners;             // D + 1
    int64_t total;           // corners of all points of all pictures
    Array<uint64_t> key;     // [words][total], sorted
    Array<uint32_t> corner;  // [total]: which corner, counted over all pictures, has that key
    Array<uint32_t> number;  // [total]: how many vertices there are up to here
    Array<uint32_t> first;   // [pictures + 1]: vertices before a picture
};

// Nothing waits: `first` is for the caller to fetch. Barycentric weights are written to the corners at `place`.
TermVertices number_vertices(const Context& context, const Grid& grid, int pictures, const DeviceTerm& term,
                             CornerPlace place);

// Where a term's vertices become rows.
struct TermPlace {
    const PictureRows* picture;  // [pictures]
    const uint32_t* first_row;   // [pictures], of the term
    CornerPlace corner;
    int copy;  // that the corners name
    Entry* entry;
    uint32_t* list;
};

// Rows of the corners, entries of the rows; consumes what is needed for nothing else.
struct VertexKeys {
    BatchKeys keys;
    int64_t vertices;
    Array<uint64_t> key;  // [words][vertices]
};
VertexKeys place_vertices(const Context& context, int pictures, int64_t points, TermVertices& vertices,
                          int64_t vertex_count, const TermPlace& place);

// The neighbours of a term's rows along one axis, written where the axis has them.
struct AxisPlace {
    const uint32_t* first_vertex;  // [pictures + 1]
    const uint32_t* first_row;     // [pictures], of the term
    const AxisRows* rows;          // [pictures]
    Neighbours* neighbours;
};
void link_rows(const Context& context, int pictures, int64_t most_vertices, const VertexKeys& keys, int axis,
               const AxisPlace& place);

}  // namespace densecrf::cuda
