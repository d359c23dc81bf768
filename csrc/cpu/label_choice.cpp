#include "label_choice.h"

#include <algorithm>

#include "../label_tolerance.h"

namespace densecrf::cpu {
namespace {

// A label that is likely somewhere will not drop out: where many are, looking closer is not worth it.
constexpr float kLikely = 0.1f;

// So few labels to begin with are worth no closer look.
constexpr size_t kFew = 8;

// Whether a label sends messages to none but itself, and none larger than its marginals times the weights: what
// makes labels that are small everywhere negligible.
bool only_attract(const Lattice& lattice) {
    for (size_t t = 0; t < lattice.terms().size(); ++t)
        if (lattice.mixes(t)) return false;
    return lattice.normalised();
}

}  // namespace

LabelChoice::LabelChoice(const PointOrder& order, const Lattice& lattice, LabelSet& all, float tolerance)
    : order_(order),
      lattice_(lattice),
      all_(all),
      tolerance_(effective_tolerance(tolerance, lattice.weights())),
      stride_(all.passes.stride()),
      open_(tolerance > 0 && only_attract(lattice)),
      now_(&all) {
    if (open_) peaks_ = Array<float>(static_cast<size_t>(order.partitions()) * stride_);
}

void LabelChoice::forget(int64_t partition) {
    std::fill_n(peaks(partition), stride_, 0.0f);
}

void LabelChoice::note_rest(float share) {
    raise_to(rest_share_, share);
}

std::vector<float> LabelChoice::largest() const {
    std::vector<float> all(now_->labels.size(), 0.0f);
    for (int p = 0; p < order_.partitions(); ++p)
        for (size_t l = 0; l < all.size(); ++l) all[l] = std::max(all[l], peaks_[p * stride_ + l]);
    return all;
}

LabelChoice::Choice LabelChoice::above_tolerance() const {
    const std::vector<float> most = largest();
    std::vector<size_t> ascending(most.size());
    for (size_t l = 0; l < most.size(); ++l) ascending[l] = l;
    std::stable_sort(ascending.begin(), ascending.end(), [&](size_t a, size_t b) { return most[a] < most[b]; });
    Choice choice{{}, left_out_};
    for (const size_t l : ascending) {
        const float together = choice.left_out + most[l];
        if (most[l] > tolerance_ || together > kMostLeftOut * tolerance_)
            choice.labels.push_back(now_->labels[l]);
        else
            choice.left_out = together;
    }
    std::sort(choice.labels.begin(), choice.labels.end());
    return choice;
}

LabelSet* LabelChoice::choose(Choice choice) {
    const auto width = width_of(static_cast<int>(choice.labels.size()));
    if (choice.labels.empty() || width >= width_of(now_->passes.labels())) return now_;
    left_out_ = choice.left_out;
    before_ = std::move(some_);
    some_ = std::make_unique<LabelSet>(order_, lattice_, std::move(choice.labels), all_.passes.labels());
    return now_ = some_.get();
}

bool LabelChoice::promising() const {
    if (!open_ || !now_->whole()) return false;
    int likely = 0;
    for (const float most : largest()) likely += most > kLikely;
    return width_of(likely) < width_of(all_.passes.labels());
}

LabelSet* LabelChoice::few() {
    if (!open_) return now_;
    Choice above = above_tolerance();
    return above.labels.size() <= kFew ? choose(std::move(above)) : now_;
}

LabelSet* LabelChoice::narrower() {
    return open_ ? choose(above_tolerance()) : now_;
}

LabelSet* LabelChoice::checked() {
    const auto left_out = static_cast<float>(all_.labels.size() - now_->labels.size());
    const float bound = tolerance_ * std::min(left_out, kMostLeftOut);
    if (now_->whole() || rest_share_.exchange(0) <= bound) return now_;
    open_ = false;
    return now_ = &all_;
}

void raise_to(std::atomic<float>& most, float value) {
    float seen = most.load(std::memory_order_relaxed);
    while (value > seen && !most.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
}

}  // namespace densecrf::cpu
