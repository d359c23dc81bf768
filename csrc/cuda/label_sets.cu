#include "../label_tolerance.h"
#include "label_sets.h"

namespace densecrf::cuda {
namespace {

constexpr int kThreads = 128;

struct Start {
    PictureState* state;
    int *parts, *lists;
    float* peaks;
    int labels, open;

    DENSECRF_DEVICE void operator()(int picture, int64_t l) const {
        lists[static_cast<int64_t>(picture) * kLabelLists * labels + l] = static_cast<int>(l);
        if (peaks) peaks[static_cast<int64_t>(picture) * labels + l] = 0;
        if (l > 0) return;
        const LabelSet all{0, labels, parts_of(labels)};
        state[picture] = {all, all, all, 0, 0, open, 0, 0.0f};
        parts[picture] = all.parts;
    }
};

// One tile a picture. In its memory: the largest marginal of every label, and whether it takes part.
struct Choose {
    PictureState* state;
    int *parts, *lists;
    float* peaks;
    int labels, iteration;
    float tolerance;

    // The largest value that a label may have to be left out. Halved until those left out stay within bounds
    // together with `already`, those that are.
    DENSECRF_DEVICE float limit(const float* peak, const float* member, float already) const {
        float most = tolerance;
        for (int halvings = 0; halvings < 40; ++halvings, most *= 0.5f) {
            float sum = already;
            for (int l = 0; l < labels; ++l)
                if (member[l] > 0 && peak[l] <= most) sum += peak[l];
            if (sum <= kMostLeftOut * tolerance) return most;
        }
        return -1;
    }

    DENSECRF_DEVICE void decide(int picture, const float* peak, const float* member) const {
        PictureState& s = state[picture];
        s.values = s.rows;
        s.moves = 0;
        if (!s.open) return;
        float left_out = 0;
        for (int l = 0; l < labels; ++l)
            if (!(member[l] > 0)) left_out += peak[l];
        const int count_out = labels - s.rows.labels;
        if (!(left_out <= tolerance * fminf(static_cast<float>(count_out), kMostLeftOut))) {
            s.rows = {0, labels, parts_of(labels)};
            s.open = 0;
            return;
        }
        if (iteration <= kLastLook) narrow(picture, peak, member, limit(peak, member, left_out));
    }

    DENSECRF_DEVICE void narrow(int picture, const float* peak, const float* member, float most) const {
        PictureState& s = state[picture];
        const int slot = s.rows.slot == 1 ? 2 : 1;
        int* list = lists + (static_cast<int64_t>(picture) * kLabelLists + slot) * labels;
        int kept = 0;
        for (int l = 0; l < labels; ++l)
            if (member[l] > 0 && !(peak[l] <= most)) list[kept++] = l;
        if (kept == 0 || parts_of(kept) >= s.rows.parts) return;
        s.before = s.rows;
        s.rows = s.values = {slot, kept, parts_of(kept)};
        s.moves = 1;
        s.buffer = 1 - s.buffer;
    }

    DENSECRF_DEVICE void operator()(int picture, const Tile& tile) const {
        float *peak = tile.shared, *member = tile.shared + labels;
        const LabelSet set = state[picture].rows;
        tile.each(labels, [&](int l) {
            float& seen = peaks[static_cast<int64_t>(picture) * labels + l];
            peak[l] = seen;
            member[l] = 0;
            seen = 0;
        });
        tile.each(set.labels, [&](int i) {
            member[lists[(static_cast<int64_t>(picture) * kLabelLists + set.slot) * labels + i]] = 1;
        });
        tile.each(1, [&](int) {
            decide(picture, peak, member);
            parts[picture] = state[picture].values.parts;
        });
    }
};

struct Settle {
    PictureState* state;
    int* parts;
    int iteration;
    float tolerance;

    DENSECRF_DEVICE void operator()(int picture, int64_t) const {
        PictureState& s = state[picture];
        if (s.settled == 0 && s.change <= tolerance) {
            s.settled = iteration;
            parts[picture] = 0;
        }
        s.change = 0;
    }
};

}  // namespace

LabelSets::LabelSets(const Context& context, int pictures, int labels, float tolerance)
    : pictures_(pictures),
      labels_(labels),
      tolerance_(tolerance),
      state_(context, pictures),
      parts_(context, pictures),
      lists_(context, static_cast<int64_t>(pictures) * kLabelLists * labels) {
    const bool open = tolerance > 0 && labels <= kMostChosenFrom && labels > 4;  // no rows are narrower than four
    if (open) peaks_ = Array<float>(context, static_cast<int64_t>(pictures) * labels);
    for_each(context, pictures, labels,
             Start{state_.data(), parts_.data(), lists_.data(), peaks_.data(), labels, open ? 1 : 0});
}

void LabelSets::choose(const Context& context, int iteration) const {
    for_each_tile(
        context, pictures_, 1, kThreads, 2 * labels_ * static_cast<int64_t>(sizeof(float)),
        Choose{state_.data(), parts_.data(), lists_.data(), peaks_.data(), labels_, iteration, tolerance_});
}

void LabelSets::settle(const Context& context, int iteration, float tolerance) const {
    for_each(context, pictures_, 1, Settle{state_.data(), parts_.data(), iteration, tolerance});
}

}  // namespace densecrf::cuda
