// Decides which labels take part in filtering, from the largest value that each had anywhere.
#pragma once

#include <atomic>
#include <memory>

#include "label_set.h"

namespace densecrf::cpu {

class LabelChoice {
  public:
    // `all` must outlive it. With a tolerance of 0, or where labels do more than attract their own kind, all
    // labels take part.
    LabelChoice(const PointOrder& order, const Lattice& lattice, LabelSet& all, float tolerance);

    bool open() const { return open_; }  // false: all labels, for good

    // What threads see, of the labels of the set in use: the largest values in a partition [labels of all sets,
    // padded], after forgetting those of before; and the largest share of a rest in its soft-max.
    void forget(int64_t partition);
    float* peaks(int64_t partition) { return peaks_.data() + partition * stride_; }
    void note_rest(float share);

    // What one thread makes of it. Whether a closer look may make rows narrower:
    bool promising() const;
    // The set in use from now on: few labels, if that is what the tolerance leaves of all;
    LabelSet* few();
    // those above the tolerance, if that makes rows narrower;
    LabelSet* narrower();
    // the same set; or all labels, for good, if those left out gained.
    LabelSet* checked();

  private:
    std::vector<float> largest() const;
    struct Choice {
        std::vector<int> labels;  // numbers of the caller's labels, ascending
        float left_out;           // sum of the largest values of the others
    };
    Choice above_tolerance() const;
    LabelSet* choose(Choice choice);

    const PointOrder& order_;
    const Lattice& lattice_;
    LabelSet& all_;
    const float tolerance_;
    const int stride_;
    bool open_;
    LabelSet* now_;
    float left_out_ = 0;                       // of the labels not in now_
    std::unique_ptr<LabelSet> some_, before_;  // the set in use if it is not all_, and the one before it
    Array<float> peaks_;                       // [partitions][stride]
    std::atomic<float> rest_share_{0};
};

// Raises a maximum: the order in which threads do it does not matter.
void raise_to(std::atomic<float>& most, float value);

}  // namespace densecrf::cpu
