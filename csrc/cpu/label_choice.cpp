#include "label_choice.h"

#include <algorithm>

namespace densecrf::cpu {
namespace {

// A label that is likely somewhere will not drop out: where many are, looking closer is not worth it.
constexpr float kLikely = 0.1f;

// A label left out loses a message of up to the weights times the tolerance: published weights add up to 10 or so, and
// where they are larger the tolerance is smaller.
constexpr float kUsualWeights = 10.0f;

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
      tolerance_(tolerance * std::min(1.0f, kUsualWeights / lattice.weights())),
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

std::vector<int> LabelChoice::above_tolerance() const {
    const std::vector<float> most = largest();
    std::vector<int> above;
    for (size_t l = 0; l < most.size(); ++l)
        if (most[l] > tolerance_) above.push_back(now_->labels[l]);
    return above;
}

LabelSet* LabelChoice::choose(std::vector<int> labels) {
    const auto width = width_of(static_cast<int>(labels.size()));
    if (labels.empty() || width >= width_of(now_->passes.labels())) return now_;
    before_ = std::move(some_);
    some_ = std::make_unique<LabelSet>(order_, lattice_, std::move(labels), all_.passes.labels());
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
    std::vector<int> above = above_tolerance();
    return above.size() <= kFew ? choose(std::move(above)) : now_;
}

LabelSet* LabelChoice::narrower() {
    return open_ ? choose(above_tolerance()) : now_;
}

LabelSet* LabelChoice::checked() {
    const float bound = tolerance_ * static_cast<float>(all_.labels.size() - now_->labels.size());
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
