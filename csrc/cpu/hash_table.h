// Lattice key -> vertex number. Open addressing with linear probing, at most half full, grows by doubling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../lattice_key.h"

namespace densecrf::cpu {

constexpr uint32_t kNoVertex = 0xFFFFFFFFu;

template <int kWords>
class HashTable {
  public:
    // Room for `expected` keys before the first growth.
    explicit HashTable(size_t expected) {
        size_t capacity = 1024;
        while (capacity < 2 * expected) capacity *= 2;
        resize(capacity);
    }

    size_t size() const { return size_; }

    // The number stored with key; if there is none, stores `fresh` and returns it.
    uint32_t find_or_insert(const Key<kWords>& key, uint32_t fresh) {
        Slot& slot = slots_[probe(key)];
        if (slot.vertex == kNoVertex) {
            slot = {key, fresh};
            if (2 * ++size_ > slots_.size()) grow();
            return fresh;
        }
        return slot.vertex;
    }

    uint32_t find(const Key<kWords>& key) const { return slots_[probe(key)].vertex; }

    // Asks for the cache line that find(key) will look at first.
    void prefetch(const Key<kWords>& key) const { __builtin_prefetch(&slots_[hash(key) & mask_]); }

  private:
    struct Slot {
        Key<kWords> key;
        uint32_t vertex;
    };

    // The slot that holds the key, or the empty one where it belongs.
    size_t probe(const Key<kWords>& key) const {
        size_t at = hash(key) & mask_;
        while (slots_[at].vertex != kNoVertex && !(slots_[at].key == key)) at = (at + 1) & mask_;
        return at;
    }

    void resize(size_t capacity) {
        slots_.assign(capacity, Slot{{}, kNoVertex});
        mask_ = capacity - 1;
    }

    void grow() {
        std::vector<Slot> old;
        old.swap(slots_);
        resize(2 * old.size());
        for (const Slot& slot : old)
            if (slot.vertex != kNoVertex) slots_[probe(slot.key)] = slot;
    }

    std::vector<Slot> slots_;
    size_t mask_ = 0;
    size_t size_ = 0;
};

}  // namespace densecrf::cpu
