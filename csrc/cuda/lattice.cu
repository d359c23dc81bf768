#include <algorithm>
#include <stdexcept>

#include "../normalization.h"
#include "filter.h"
#include "lattice.h"
#include "sort.h"
#include "vertices.h"

namespace densecrf::cuda {
namespace {

// The terms that do anything, that of most dimensions first.
std::vector<DeviceTerm> in_order(const std::vector<DeviceTerm>& terms) {
    std::vector<DeviceTerm> ordered;
    for (const DeviceTerm& term : terms)
        if (!is_silent(term.term)) ordered.push_back(term);
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const DeviceTerm& a, const DeviceTerm& b) { return a.term.dims() > b.term.dims(); });
    return ordered;
}

// ------------------------------------------------------------------------------- segments

struct CountSegments {
    const PictureRows* picture;
    const uint32_t* list;
    uint32_t* count;

    DENSECRF_DEVICE void operator()(int number, int64_t row) const {
        const PictureRows& rows = picture[number];
        if (row > rows.rows) return;
        const uint32_t* entries = list + rows.first_list + row;
        count[rows.first_list + row] = row < rows.rows ? segments_of(entries[1] - entries[0]) : 0;
    }
};

struct WriteSegments {
    LatticeView lattice;
    Segment* segment;

    DENSECRF_DEVICE void operator()(int number, int64_t i) const {
        const PictureRows& rows = lattice.picture[number];
        if (i >= rows.rows) return;
        const auto row = static_cast<uint32_t>(i);
        const uint32_t begin = lattice.list[rows.first_list + row], end = lattice.list[rows.first_list + row + 1];
        const uint32_t length = segment_length(end - begin), count = segments_of(end - begin);
        Segment* to = segment + number * lattice.most_segments + segments_before(lattice, rows, row);
        for (uint32_t s = 0; s < count; ++s) {
            const uint32_t at = begin + s * length;
            to[s] = {row, at, s == count - 1 ? end : at + length};
        }
    }
};

// Where the entries of row 0 begin, and those of the last row end.
struct CloseLists {
    const PictureRows* picture;
    uint32_t* list;
    uint32_t entries;

    DENSECRF_DEVICE void operator()(int number, int64_t) const {
        list[picture[number].first_list] = 0;
        list[picture[number].first_list + picture[number].rows] = entries;
    }
};

void find_segments(const Context& context, Lattice& lattice) {
    lattice.segments_up_to = Array<uint32_t>(context, lattice.list.size());
    for_each(context, lattice.pictures, lattice.most_rows + 1,
             CountSegments{lattice.picture.data(), lattice.list.data(), lattice.segments_up_to.data()});
    running_sum(context, lattice.segments_up_to);
    lattice.segment = Array<Segment>(context, lattice.pictures * lattice.most_segments);
    for_each(context, lattice.pictures, lattice.most_rows, WriteSegments{lattice.view(), lattice.segment.data()});
}

// ------------------------------------------------------------------------------- weights

// What weighing needs to know of a term.
struct TermWeight {
    Normalization normalization;
    int first, corners;  // among those of a point
    float slice_scale, strength;
};

// Compatibilities are of labels, which ones have none of.
struct Unchanged {
    DENSECRF_DEVICE float operator()(const float* row, int part) const { return row[part]; }
};

// Barycentric weights -> what slicing multiplies with. Keeps what splatting will.
struct WeighCorners {
    LatticeView lattice;
    LatticeRows<float> ones;
    const TermWeight* term;
    int terms;
    Corner* corner;
    float* splat;  // [pictures][N][terms]

    DENSECRF_DEVICE void operator()(int picture, int64_t point) const {
        const float* values = ones.of(lattice.picture[picture]);
        const int64_t index = picture * lattice.points + point;
        for (int t = 0; t < terms; ++t) {
            Corner* own = corner + index * lattice.corners + term[t].first;
            float norm = 0;
            for (int k = 0; k < term[t].corners; ++k) norm += own[k].weight * values[own[k].row];
            const Factors f = factors(term[t].normalization, norm * term[t].slice_scale, term[t].strength);
            for (int k = 0; k < term[t].corners; ++k) own[k].weight *= f.slice;
            splat[index * terms + t] = f.splat;
        }
    }
};

struct WeighEntries {
    LatticeView lattice;
    const TermWeight* term;
    int terms;
    const float* splat;
    Entry* entry;

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        int t = 0;
        while (i >= lattice.points * (term[t].first + term[t].corners)) ++t;
        Entry& own = entry[picture * lattice.points * lattice.corners + i];
        own.weight *= splat[(picture * lattice.points + own.point) * terms + t];
    }
};

// ------------------------------------------------------------------------------- building

class Builder {
  public:
    Builder(const Context& context, const Grid& grid, int pictures, const std::vector<DeviceTerm>& terms)
        : context_(context), grid_(grid), terms_(in_order(terms)) {
        lattice_.pictures = pictures;
        lattice_.points = grid.points();
        lattice_.corners = 0;
        lattice_.weights = 0;
        lattice_.normalised = true;
        for (const DeviceTerm& term : terms_) {
            first_corner_.push_back(lattice_.corners);
            lattice_.corners += term.term.dims() + 1;
            lattice_.normalised &= term.term.normalization != Normalization::kNone;
            if (folds(term.term)) lattice_.weights += term.term.compatibility.values[0];
        }
        lattice_.most_segments = terms_.empty() ? 0 : most_segments(lattice_.points * lattice_.corners);
    }

    Lattice build(const std::function<void()>& before_waiting) {
        const int64_t corners = lattice_.points * lattice_.corners;
        if (corners >= UINT32_MAX / 2)
            throw std::domain_error("a picture with " + std::to_string(corners) +
                                    " corners, and 31 bits are there to number them; refine tiles");
        lattice_.corner = Array<Corner>(context_, lattice_.pictures * corners);
        for (size_t t = 0; t < terms_.size(); ++t)
            vertices_.push_back(number_vertices(context_, grid_, lattice_.pictures, terms_[t], corner_place(t)));
        count_vertices(before_waiting);
        place_pictures();
        lattice_.entry = Array<Entry>(context_, lattice_.pictures * corners);
        lattice_.list = Array<uint32_t>(context_, lattice_.rows + lattice_.pictures);
        for (size_t a = 0; a < axis_rows_.size(); ++a) add_axis(a);
        for (size_t t = 0; t < terms_.size(); ++t) add_term(t);
        vertices_.clear();
        for_each(context_, lattice_.pictures, 1,
                 CloseLists{lattice_.picture.data(), lattice_.list.data(), static_cast<uint32_t>(corners)});
        if (!terms_.empty()) {
            find_segments(context_, lattice_);
            weigh();
        }
        return std::move(lattice_);
    }

  private:
    CornerPlace corner_place(size_t t) const {
        return {lattice_.corner.data(), lattice_.corners, first_corner_[t]};
    }
    int corners_of(size_t t) const { return terms_[t].term.dims() + 1; }
    uint32_t vertices_of(size_t t, int picture) const { return first_[t][picture + 1] - first_[t][picture]; }

    // The one place where the host waits.
    void count_vertices(const std::function<void()>& before_waiting) {
        for (const TermVertices& v : vertices_) {
            first_.emplace_back(lattice_.pictures + 1);
            download(context_, first_.back().data(), v.first.data(), v.first.size() * sizeof(uint32_t));
        }
        before_waiting();
        synchronize(context_);
    }

    // Rows of every picture, and of every term and axis within it.
    void place_pictures() {
        const int pictures = lattice_.pictures;
        std::vector<PictureRows> rows(pictures);
        first_row_.assign(terms_.size(), std::vector<uint32_t>(pictures));
        axis_rows_.assign(terms_.empty() ? 0 : corners_of(0), std::vector<AxisRows>(pictures));
        std::vector<int64_t> linked(axis_rows_.size());
        lattice_.rows = lattice_.most_rows = 0;
        for (int b = 0; b < pictures; ++b) {
            uint32_t next = 1;
            for (std::vector<AxisRows>& axis : axis_rows_) axis[b].end = next;
            for (size_t t = 0; t < terms_.size(); ++t) {
                first_row_[t][b] = next;
                next += vertices_of(t, b);
                for (int a = 0; a < corners_of(t); ++a) axis_rows_[a][b].end = next;
            }
            rows[b] = {lattice_.rows, lattice_.rows + b, next};
            for (size_t a = 0; a < axis_rows_.size(); ++a) {
                axis_rows_[a][b].first = linked[a];
                linked[a] += axis_rows_[a][b].end;
            }
            lattice_.rows += next;
            lattice_.most_rows = std::max<int64_t>(lattice_.most_rows, next);
        }
        lattice_.picture = uploaded(context_, rows);
    }

    void add_axis(size_t a) {
        int64_t linked = 0, most = 0;
        for (const AxisRows& rows : axis_rows_[a]) {
            linked = rows.first + rows.end;
            most = std::max<int64_t>(most, rows.end);
        }
        lattice_.axes.push_back({uploaded(context_, axis_rows_[a]), Array<Neighbours>(context_, linked), most});
        fill(context_, lattice_.axes.back().neighbours.data(), 0, linked * sizeof(Neighbours));
    }

    void add_term(size_t t) {
        const int pictures = lattice_.pictures, corners = corners_of(t);
        const bool mixes = !folds(terms_[t].term);
        const Array<uint32_t> first_row = uploaded(context_, first_row_[t]);
        const TermPlace place{lattice_.picture.data(),         first_row.data(),      corner_place(t),
                              (corners + (mixes ? 1 : 0)) % 2, lattice_.entry.data(), lattice_.list.data()};
        const VertexKeys keys =
            place_vertices(context_, pictures, lattice_.points, vertices_[t], first_[t].back(), place);
        int64_t most = 0;
        for (int b = 0; b < pictures; ++b) most = std::max<int64_t>(most, vertices_of(t, b));
        for (int a = 0; a < corners; ++a)
            link_rows(context_, pictures, most, keys, a,
                      {vertices_[t].first.data(), first_row.data(), lattice_.axes[a].rows.data(),
                       lattice_.axes[a].neighbours.data()});
        if (mixes) add_mixing(t, most);
    }

    void add_mixing(size_t t, int64_t most) {
        const Compatibility& compatibility = terms_[t].term.compatibility;
        std::vector<float> values = compatibility.values;
        if (compatibility.kind == Compatibility::Kind::kMatrix) {  // symmetrised, as an energy of pairs is
            const auto labels = static_cast<size_t>(std::lround(std::sqrt(values.size())));
            for (size_t l = 0; l < labels; ++l)
                for (size_t m = 0; m < labels; ++m)
                    values[l * labels + m] =
                        0.5f * (compatibility.values[l * labels + m] + compatibility.values[m * labels + l]);
        }
        std::vector<uint32_t> range;
        for (int b = 0; b < lattice_.pictures; ++b) {
            range.push_back(first_row_[t][b]);
            range.push_back(first_row_[t][b] + vertices_of(t, b));
        }
        lattice_.mixing.push_back({compatibility.kind, compatibility.values[0], uploaded(context_, values),
                                   corners_of(t) % 2, uploaded(context_, range), most});
    }

    // Normalisation: the filter's response to ones, through weights that are still barycentric.
    void weigh() {
        const Array<float> data(context_, 2 * lattice_.rows);
        const Array<float> partial(context_, lattice_.pictures * lattice_.most_segments);
        const LatticeRows<float> ones{{data.data(), 1, nullptr}};
        splat(context_, lattice_, Ones{}, ones, partial.data());
        blur(context_, lattice_, ones);
        mix(context_, lattice_, ones, [](const Mixing&) { return Unchanged{}; });

        std::vector<TermWeight> weights;
        for (size_t t = 0; t < terms_.size(); ++t)
            weights.push_back({terms_[t].term.normalization, first_corner_[t], corners_of(t),
                               slice_scale(terms_[t].term.dims()), strength(terms_[t].term)});
        const Array<TermWeight> on_device = uploaded(context_, weights);
        const int terms = static_cast<int>(weights.size());
        const Array<float> factor(context_, lattice_.pictures * lattice_.points * terms);
        for_each(
            context_, lattice_.pictures, lattice_.points,
            WeighCorners{lattice_.view(), ones, on_device.data(), terms, lattice_.corner.data(), factor.data()});
        for_each(context_, lattice_.pictures, lattice_.points * lattice_.corners,
                 WeighEntries{lattice_.view(), on_device.data(), terms, factor.data(), lattice_.entry.data()});
    }

    const Context& context_;
    const Grid& grid_;
    const std::vector<DeviceTerm> terms_;
    Lattice lattice_ = {};
    std::vector<int> first_corner_;                 // [terms]
    std::vector<TermVertices> vertices_;            // [terms]
    std::vector<std::vector<uint32_t>> first_;      // [terms][pictures + 1]: vertices before a picture
    std::vector<std::vector<uint32_t>> first_row_;  // [terms][pictures]
    std::vector<std::vector<AxisRows>> axis_rows_;  // [axes][pictures]
};

}  // namespace

Lattice build_lattice(const Context& context, const Grid& grid, int pictures, const std::vector<DeviceTerm>& terms,
                      const std::function<void()>& before_waiting) {
    return Builder(context, grid, pictures, terms).build(before_waiting);
}

}  // namespace densecrf::cuda
