#include <cfloat>
#include <cmath>

#include "launch.h"
#include "survey.h"

namespace densecrf::cuda {
namespace {

constexpr int kThreads = 256;

// What a thread has seen of its point.
struct Seen {
    float min, max, sum_min, sum_max;
    float not_finite;  // as a float, to lie beside the others; labels are few enough
};
constexpr int kSeenFloats = sizeof(Seen) / sizeof(float);

DENSECRF_DEVICE Seen merged(const Seen& a, const Seen& b) {
    return {fminf(a.min, b.min), fmaxf(a.max, b.max), fminf(a.sum_min, b.sum_min), fmaxf(a.sum_max, b.sum_max),
            a.not_finite + b.not_finite};
}

struct LookAtScores {
    const float* scores;
    int labels;
    int64_t points;
    SurveyBits* result;

    DENSECRF_DEVICE Seen look(int picture, int64_t point) const {
        Seen seen{FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX, 0};
        if (point >= points) return seen;
        float sum = 0;
        for (int l = 0; l < labels; ++l) {
            const float v = scores[(static_cast<int64_t>(picture) * labels + l) * points + point];
            const bool finite = v >= -FLT_MAX && v <= FLT_MAX;
            seen.not_finite += finite ? 0.0f : 1.0f;
            if (!finite) continue;
            seen.min = fminf(seen.min, v);
            seen.max = fmaxf(seen.max, v);
            sum += v;
        }
        seen.sum_min = seen.sum_max = sum;
        return seen;
    }

    DENSECRF_DEVICE void operator()(int picture, const Tile& tile) const {
        auto* seen = reinterpret_cast<Seen*>(tile.shared);
        tile.each_thread([&](int t) { seen[t] = look(picture, tile.index * kThreads + t); });
        for (int half = kThreads / 2; half > 0; half /= 2)
            tile.each(half, [&](int t) { seen[t] = merged(seen[t], seen[t + half]); });
        tile.each(1, [&](int) {
            SurveyBits& all = result[picture];
            lower(&all.min, ordered(seen[0].min));
            raise(&all.max, ordered(seen[0].max));
            lower(&all.sum_min, ordered(seen[0].sum_min));
            raise(&all.sum_max, ordered(seen[0].sum_max));
            if (seen[0].not_finite > 0)
                count_up(&all.not_finite, static_cast<unsigned long long>(seen[0].not_finite));
        });
    }
};

struct StartSurvey {
    SurveyBits* result;
    DENSECRF_DEVICE void operator()(int picture, int64_t) const {
        result[picture] = {ordered(FLT_MAX), ordered(-FLT_MAX), ordered(FLT_MAX), ordered(-FLT_MAX), 0};
    }
};

}  // namespace

Survey to_survey(const SurveyBits& bits) {
    return {disordered(bits.min), disordered(bits.max), disordered(bits.sum_min), disordered(bits.sum_max),
            static_cast<int64_t>(bits.not_finite)};
}

Array<SurveyBits> survey(const Context& context, const float* scores, int pictures, int labels, int64_t points) {
    Array<SurveyBits> result(context, pictures);
    for_each(context, pictures, 1, StartSurvey{result.data()});
    for_each_tile(context, pictures, (points + kThreads - 1) / kThreads, kThreads,
                  kThreads * kSeenFloats * static_cast<int64_t>(sizeof(float)),
                  LookAtScores{scores, labels, points, result.data()});
    return result;
}

}  // namespace densecrf::cuda
