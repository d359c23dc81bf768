// Lattice key -> vertex number: which of a list of keys is this one?
//
// The table holds one byte and one number a slot; keys stay in the list they are numbered by. Most look-ups for
// neighbours find nothing, and they are settled by the bytes alone, which fit the cache when keys would not.
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
        if (tag_[at] != kEmpty) return vertex_[at];
        tag_[at] = tag_of(h);
        vertex_[at] = fresh;
        if (2 * ++size_ > tag_.size()) grow(keys, fresh, key);
        return fresh;
    }

    uint32_t find(const Key<kWords>& key, const Key<kWords>* keys) const {
        const size_t at = probe(hash(key), key, keys);
        return tag_[at] == kEmpty ? kNoVertex : vertex_[at];
    }

  private:
    static constexpr uint8_t kEmpty = 0;

    // From bits of the hash that choose neither slot nor shard.
    static uint8_t tag_of(uint64_t h) { return static_cast<uint8_t>((h >> 48) | 1); }

    // The slot that holds the key, or the empty one where it belongs.
    size_t probe(uint64_t h, const Key<kWords>& key, const Key<kWords>* keys) const {
        const uint8_t tag = tag_of(h);
        size_t at = h & mask_;
        while (tag_[at] != kEmpty && !(tag_[at] == tag && keys[vertex_[at]] == key)) at = (at + 1) & mask_;
        return at;
    }

    void resize(size_t capacity) {
        tag_ = Array<uint8_t>(capacity);
        vertex_ = Array<uint32_t>(capacity);
        std::memset(tag_.data(), kEmpty, capacity);
        mask_ = capacity - 1;
    }

    // `fresh` is in the table already, but its key is not in the list yet.
    void grow(const Key<kWords>* keys, uint32_t fresh, const Key<kWords>& fresh_key) {
        const Array<uint8_t> old_tag = std::move(tag_);
        const Array<uint32_t> old_vertex = std::move(vertex_);
        resize(2 * old_tag.size());
        for (size_t i = 0; i < old_tag.size(); ++i) {
            if (old_tag[i] == kEmpty) continue;
            const uint32_t vertex = old_vertex[i];
            size_t at = hash(vertex == fresh ? fresh_key : keys[vertex]) & mask_;
            while (tag_[at] != kEmpty) at = (at + 1) & mask_;
            tag_[at] = old_tag[i];
            vertex_[at] = vertex;
        }
    }

    Array<uint8_t> tag_;      // [capacity]
    Array<uint32_t> vertex_;  // [capacity]
    size_t mask_ = 0;
    size_t size_ = 0;
};

}  // namespace densecrf::cpu
