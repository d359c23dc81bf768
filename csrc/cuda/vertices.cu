#include <stdexcept>

#include "launch.h"
#include "sort.h"
#include "vertices.h"

namespace densecrf::cuda {
namespace {

constexpr int kWordBits = 64;

struct CountFromZero {
    uint32_t* number;
    DENSECRF_DEVICE void operator()(int, int64_t i) const { number[i] = static_cast<uint32_t>(i); }
};

struct TakeInOrder {
    const uint64_t* key;
    const uint32_t* order;
    uint64_t* taken;
    DENSECRF_DEVICE void operator()(int, int64_t i) const { taken[i] = key[order[i]]; }
};

// 1 where a key differs from the one before.
struct MarkFirst {
    const uint64_t* key;
    int words;
    int64_t total;
    uint32_t* mark;

    DENSECRF_DEVICE void operator()(int, int64_t i) const {
        bool first = i == 0;
        for (int w = 0; w < words && !first; ++w) first = key[w * total + i] != key[w * total + i - 1];
        mark[i] = first ? 1 : 0;
    }
};

// A picture's corners, sorted, begin at the same place as before, since each has equally many.
struct CountBeforePicture {
    const uint32_t* number;
    int64_t per_picture;
    uint32_t* first;

    DENSECRF_DEVICE void operator()(int, int64_t picture) const {
        first[picture] = picture == 0 ? 0 : number[picture * per_picture - 1];
    }
};

struct PlaceCorner {
    const uint64_t* key;
    const uint32_t* corner;
    const uint32_t* number;
    const uint32_t* first_vertex;
    int words, corners;
    int64_t total, points, vertices;
    uint64_t* vertex_key;
    TermPlace place;

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const int64_t at = picture * points * corners + i;
        const uint32_t vertex = number[at] - 1;
        const uint32_t row = place.first_row[picture] + (vertex - first_vertex[picture]);
        const bool is_first = at == 0 || number[at] != number[at - 1];
        const uint32_t which = corner[at], index = which / static_cast<uint32_t>(corners);  // of the point
        const CornerPlace& c = place.corner;
        Corner& placed = c.corner[static_cast<int64_t>(index) * c.stride + c.first + which % corners];
        placed.row = row + place.copy * place.picture[picture].rows;

        const int64_t in_picture = points * c.first + i;
        place.entry[picture * points * c.stride + in_picture] = {static_cast<uint32_t>(index - picture * points),
                                                                 placed.weight};
        if (!is_first) return;
        place.list[place.picture[picture].first_list + row] = static_cast<uint32_t>(in_picture);
        for (int w = 0; w < words; ++w) vertex_key[w * vertices + vertex] = key[w * total + at];
    }
};

// Looks for the neighbour one step up by halving; vertices are sorted, and threads side by side look in nearly the
// same places.
struct LinkRow {
    const uint64_t* key;  // [words][vertices]
    uint64_t step[kMaxKeyWords + 1];
    int words;
    int64_t vertices;
    AxisPlace place;

    // Whether the vertex lies before the one wanted, in the order of the sort: the last word counts most.
    DENSECRF_DEVICE int compare(uint32_t vertex, uint32_t from) const {
        for (int w = words - 1; w >= 0; --w) {
            const uint64_t wanted = key[w * vertices + from] + step[w], seen = key[w * vertices + vertex];
            if (seen != wanted) return seen < wanted ? -1 : 1;
        }
        return 0;
    }

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const uint32_t first = place.first_vertex[picture], end = place.first_vertex[picture + 1];
        if (i >= end - first) return;
        const auto from = static_cast<uint32_t>(first + i);
        uint32_t low = first, high = end;  // the first vertex not before the one wanted lies in low .. high
        while (low < high) {
            const uint32_t middle = low + (high - low) / 2;
            if (compare(middle, from) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == end || compare(low, from) != 0) return;
        Neighbours* rows = place.neighbours + place.rows[picture].first;
        const uint32_t row = place.first_row[picture] + (from - first),
                       next = place.first_row[picture] + (low - first);
        rows[row].after = next;
        rows[next].before = row;
    }
};

// Sorted by one word after the other, the least significant first; then all words are brought into that order.
void sort_words(const Context& context, TermVertices& v) {
    for (int w = 0; w < v.keys.words; ++w) {
        Array<uint64_t> word(context, v.total);
        for_each(context, 1, v.total, TakeInOrder{v.key.data() + w * v.total, v.corner.data(), word.data()});
        sort_pairs(context, word, v.corner, w == v.keys.words - 1 ? v.keys.last_bits : kWordBits);
    }
    Array<uint64_t> sorted(context, v.keys.words * v.total);
    for (int w = 0; w < v.keys.words; ++w)
        for_each(context, 1, v.total,
                 TakeInOrder{v.key.data() + w * v.total, v.corner.data(), sorted.data() + w * v.total});
    v.key = std::move(sorted);
}

}  // namespace

TermVertices number_vertices(const Context& context, const Grid& grid, int pictures, const DeviceTerm& term,
                             CornerPlace place) {
    TermVertices v{batch_keys(grid, pictures, term), term.term.dims() + 1, 0, {}, {}, {}, {}};
    const int64_t per_picture = grid.points() * v.corners;
    v.total = pictures * per_picture;
    if (v.total >= UINT32_MAX)
        throw std::domain_error(
            "a term with " + std::to_string(v.total) +
            " corners, and 32 bits are there to number them; refine tiles, or fewer pictures at once");
    v.key = Array<uint64_t>(context, v.keys.words * v.total);
    v.corner = Array<uint32_t>(context, v.total);
    v.number = Array<uint32_t>(context, v.total);
    v.first = Array<uint32_t>(context, pictures + 1);
    embed(context, grid, pictures, term, v.keys, v.key.data(), place);
    for_each(context, 1, v.total, CountFromZero{v.corner.data()});
    if (v.keys.words == 1)
        sort_pairs(context, v.key, v.corner, v.keys.last_bits);
    else
        sort_words(context, v);
    for_each(context, 1, v.total, MarkFirst{v.key.data(), v.keys.words, v.total, v.number.data()});
    running_sum(context, v.number);
    for_each(context, 1, pictures + 1, CountBeforePicture{v.number.data(), per_picture, v.first.data()});
    return v;
}

VertexKeys place_vertices(const Context& context, int pictures, int64_t points, TermVertices& v,
                          int64_t vertex_count, const TermPlace& place) {
    VertexKeys keys{v.keys, vertex_count, Array<uint64_t>(context, v.keys.words * vertex_count)};
    for_each(context, pictures, points * v.corners,
             PlaceCorner{v.key.data(), v.corner.data(), v.number.data(), v.first.data(), v.keys.words, v.corners,
                         v.total, points, vertex_count, keys.key.data(), place});
    v.key = {};
    v.corner = {};
    v.number = {};
    return keys;
}

void link_rows(const Context& context, int pictures, int64_t most_vertices, const VertexKeys& keys, int axis,
               const AxisPlace& place) {
    LinkRow body{keys.key.data(), {}, keys.keys.words, keys.vertices, place};
    const auto steps = key_steps<kMaxKeyWords + 1>(keys.keys.layout);
    for (int w = 0; w < keys.keys.words; ++w) body.step[w] = steps.up[axis].word[w];
    for_each(context, pictures, most_vertices, body);
}

}  // namespace densecrf::cuda
