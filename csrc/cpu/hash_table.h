// Lattice key -> vertex number: which of a list of keys is this one?
//
// A slot holds half of the hash and the number; keys stay in the list they are numbered by. Most look-ups for
// neighbours find nothing, and they are settled by the slots alone.
#pragma once

#include <cstdint>
#include <cstring>

#include "../lattice_key.h"
#include "memory.h"

namespace densecrf::cpu {

constexpr uint32_t kNoVertex = 0xFFFFFFFFu;

// Open addressing with linear probing, at most half full; grows by doubling.
template <int kWords>
class HashTable {
  public:
    // Room for `expected` keys before the first growth.
    explicit HashTable(size_t expected) {
        size_t capacity = 16;
        while (capacity < 2 * expected) capacity *= 2;
        resize(capacity);
    }

    // The vertex of `key` in keys [vertices]; if it is not there, enters `fresh` for it and returns that. The
    // caller appends the key to the list then.
    uint32_t find_or_insert(const Key<kWords>& key, const Key<kWords>* keys, uint32_t fresh) {
        const uint64_t h = hash(key);
        const size_t at = probe(h, key, keys);
        if (slot_[at] != kEmpty) return vertex_of(slot_[at]);
        slot_[at] = filled(h, fresh);
        if (2 * ++size_ > slot_.size()) grow(keys, fresh, key);
        return fresh;
    }

    // The vertices of keys[0] + step, keys[1] + step, ..., kNoVertex where there is none. A few at a time, and
    // each without a branch: whether a neighbour exists cannot be predicted.
    void find_neighbours(const Key<kWords>* keys, size_t count, const Key<kWords>& step, uint32_t* vertex) const {
        size_t i = 0;
        for (; i + kTogether <= count; i += kTogether) find_together(keys, i, step, vertex + i);
        for (; i < count; ++i) vertex[i] = find(keys[i] + step, keys);
    }

  private:
    static constexpr uint64_t kEmpty = ~uint64_t{0};
    static constexpr int kTogether = 8;

    static uint32_t tag_of(uint64_t h) { return static_cast<uint32_t>(h >> 32); }
    static uint32_t vertex_of(uint64_t slot) { return static_cast<uint32_t>(slot); }  // of an empty one, kNoVertex
    static uint64_t filled(uint64_t h, uint32_t vertex) { return (h & ~uint64_t{0xFFFFFFFF}) | vertex; }

    uint32_t find(const Key<kWords>& key, const Key<kWords>* keys) const {
        return vertex_of(slot_[probe(hash(key), key, keys)]);
    }

    // Every one goes on to the next slot until it meets its tag or an empty slot. Equal tags nearly always mean
    // equal keys; where not, the look-up is done again with care.
    void find_together(const Key<kWords>* keys, size_t first, const Key<kWords>& step, uint32_t* vertex) const {
        size_t at[kTogether];
        uint32_t tag[kTogether];
        for (int i = 0; i < kTogether; ++i) {
            const uint64_t h = hash(keys[first + i] + step);
            at[i] = h & mask_;
            tag[i] = tag_of(h);
        }
        for (size_t unsettled = 1; unsettled != 0;) {
            unsettled = 0;
            for (int i = 0; i < kTogether; ++i) {
                const uint64_t slot = slot_[at[i]];
                const size_t onward = (slot != kEmpty) & (tag_of(slot) != tag[i]);
                at[i] = (at[i] + onward) & mask_;
                unsettled |= onward;
            }
        }
        bool mistaken = false;
        for (int i = 0; i < kTogether; ++i) {
            vertex[i] = vertex_of(slot_[at[i]]);
            const bool none = vertex[i] == kNoVertex;
            mistaken |= !none & !(keys[none ? 0 : vertex[i]] == keys[first + i] + step);
        }
        if (!mistaken) return;
        for (int i = 0; i < kTogether; ++i) vertex[i] = find(keys[first + i] + step, keys);
    }

    // The slot that holds the key, or the empty one where it belongs.
    size_t probe(uint64_t h, const Key<kWords>& key, const Key<kWords>* keys) const {
        size_t at = h & mask_;
        while (slot_[at] != kEmpty && !(tag_of(slot_[at]) == tag_of(h) && keys[vertex_of(slot_[at])] == key))
            at = (at + 1) & mask_;
        return at;
    }

    void resize(size_t capacity) {
        slot_ = Array<uint64_t>(capacity);
        std::memset(slot_.data(), 0xFF, capacity * sizeof(uint64_t));
        mask_ = capacity - 1;
    }

    // `fresh` is in the table already, but its key is not in the list yet.
    void grow(const Key<kWords>* keys, uint32_t fresh, const Key<kWords>& fresh_key) {
        const Array<uint64_t> old = std::move(slot_);
        resize(2 * old.size());
        for (size_t i = 0; i < old.size(); ++i) {
            if (old[i] == kEmpty) continue;
            const uint32_t vertex = vertex_of(old[i]);
            size_t at = hash(vertex == fresh ? fresh_key : keys[vertex]) & mask_;
            while (slot_[at] != kEmpty) at = (at + 1) & mask_;
            slot_[at] = old[i];
        }
    }

    Array<uint64_t> slot_;  // [capacity]
    size_t mask_ = 0;
    size_t size_ = 0;
};

}  // namespace densecrf::cpu
