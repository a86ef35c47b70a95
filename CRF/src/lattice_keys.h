// Names of lattice vertices, and tables from name to number.
//
// A vertex has dims + 1 integer coordinates that sum to 0, so dims of them name it. PackedKeys puts them into one
// 64-bit word: a step to a neighbour is one addition, a comparison one instruction. Features of many dimensions
// or of huge range do not fit; WideKeys then keeps the coordinates in a vector (slow, always right).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dense_crf/buffer.h"
#include "dense_crf/features.h"
#include "dense_crf/vector_kernels.h"

namespace dense_crf {

// Open addressing, linear probing, at most two thirds full. Numbers are given in order of insertion. The table
// holds numbers alone, as Slot, and keys stand in an array of their own: that of a tile, whose numbers have 16
// bits, stays in the L1 cache or near it. The largest Slot marks an empty one and is no number.
template <class Slot>
class PackedIndex {
  public:
    using Key = std::uint64_t;

    explicit PackedIndex(std::size_t expected) { rehash(expected * 4); }

    std::int32_t find_or_insert(Key key) {
        for (std::size_t i = slot(key);; i = (i + 1) & mask_) {
            const Slot number = slots_[i];
            if (number == kEmpty) return insert(i, key);
            if (keys_[number] == key) return static_cast<std::int32_t>(number);
        }
    }
    std::int32_t find(Key key) const {  // -1: absent
        for (std::size_t i = slot(key);; i = (i + 1) & mask_) {
            const Slot number = slots_[i];
            if (number == kEmpty) return -1;
            if (keys_[number] == key) return static_cast<std::int32_t>(number);
        }
    }
    const Key* keys() const { return keys_.data(); }
    std::size_t size() const { return size_; }

    // A set that says "absent" for most absent keys from a bit each, sixteen bits a key: a good part of a
    // lattice's neighbours do not exist, and asking the table for each costs a mispredicted branch.
    class Filter {
      public:
        explicit Filter(const PackedIndex& index) {
            shift_ = 64 - 6;
            while ((std::size_t{1} << (64 - shift_)) < index.size() * 16) --shift_;
            bits_.resize((std::size_t{1} << (64 - shift_)) / 64);
            std::fill_n(bits_.data(), bits_.size(), std::uint64_t{0});
            for (std::size_t n = 0; n < index.size(); ++n) {
                const std::uint64_t h = hash(index.keys()[n]) >> shift_;
                bits_[h / 64] |= std::uint64_t{1} << (h % 64);
            }
        }
        bool may_hold(Key key) const {
            const std::uint64_t h = hash(key) >> shift_;
            return (bits_[h / 64] >> (h % 64)) & 1;
        }

      private:
        int shift_;
        Buffer<std::uint64_t> bits_;
    };

  private:
    static constexpr Slot kEmpty = std::numeric_limits<Slot>::max();

    static std::uint64_t hash(Key key) { return key * 0xD6E8FEB86659FD93u; }
    std::size_t slot(Key key) const { return static_cast<std::size_t>(hash(key) >> shift_); }
    std::int32_t insert(std::size_t at, Key key) {
        const std::size_t number = size_++;
        slots_[at] = static_cast<Slot>(number);
        keys_[number] = key;
        if (size_ == keys_.size()) rehash(slots_.size() * 2);
        return static_cast<std::int32_t>(number);
    }
    void rehash(std::size_t at_least) {
        shift_ = 64 - 6;
        while ((std::size_t{1} << (64 - shift_)) < at_least) --shift_;
        slots_.resize(std::size_t{1} << (64 - shift_));
        mask_ = slots_.size() - 1;
        std::fill_n(slots_.data(), slots_.size(), kEmpty);
        Buffer<Key> keys(slots_.size() * 2 / 3);
        std::copy_n(keys_.data(), size_, keys.data());
        keys_ = std::move(keys);
        for (std::size_t n = 0; n < size_; ++n) {
            std::size_t i = slot(keys_[n]);
            while (slots_[i] != kEmpty) i = (i + 1) & mask_;
            slots_[i] = static_cast<Slot>(n);
        }
    }

    int shift_ = 0;
    std::size_t mask_ = 0, size_ = 0;
    Buffer<Slot> slots_;
    Buffer<Key> keys_;  // as many as two thirds of the slots
};

class WideIndex {
  public:
    using Key = std::vector<std::int32_t>;

    explicit WideIndex(std::size_t) {}
    std::int32_t find_or_insert(const Key& key) {
        const auto found = numbers_.try_emplace(key, static_cast<std::int32_t>(keys_.size()));
        if (found.second) keys_.push_back(key);
        return found.first->second;
    }
    std::int32_t find(const Key& key) const {
        const auto found = numbers_.find(key);
        return found == numbers_.end() ? -1 : found->second;
    }
    const Key* keys() const { return keys_.data(); }
    std::size_t size() const { return keys_.size(); }

    struct Filter {
        explicit Filter(const WideIndex&) {}
        bool may_hold(const Key&) const { return true; }
    };

  private:
    struct Hash {
        std::size_t operator()(const Key& key) const {
            std::uint64_t h = 0;
            for (std::int32_t x : key) h = (h ^ static_cast<std::uint32_t>(x)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
            return static_cast<std::size_t>(h);
        }
    };
    std::unordered_map<Key, std::int32_t, Hash> numbers_;
    std::vector<Key> keys_;
};

// Geometry: corner r + 1 of a simplex is corner r plus one step along coordinate i, where i has rank dims - r. A
// step along i < dims adds 1 to every coordinate and takes dims + 1 from coordinate i; a step along coordinate
// dims (which is not stored) adds 1 to every one. The blur walks along the same steps.
class PackedKeys {
  public:
    using TileIndex = PackedIndex<std::uint16_t>;
    using Index = PackedIndex<std::uint32_t>;
    using Key = Index::Key;

    // low, high: bounds of every stored coordinate, neighbours included.
    static bool fits(const std::vector<std::int64_t>& low, const std::vector<std::int64_t>& high) {
        return total_bits(low, high) <= 63;
    }
    PackedKeys(const std::vector<std::int64_t>& low, const std::vector<std::int64_t>& high)
        : low_(low), shift_(low.size()), step_(low.size() + 1) {
        int bit = 0;
        Key ones = 0;
        for (std::size_t i = 0; i < low.size(); ++i) {
            shift_[i] = bit;
            ones += Key{1} << bit;
            bit += bits(high[i] - low[i]);
        }
        for (std::size_t i = 0; i < low.size(); ++i) {
            step_[i] = ones - (static_cast<Key>(low.size() + 1) << shift_[i]);
        }
        step_.back() = ones;
    }
    // coordinates: kEmbedWidth apart.
    Key make(const std::int32_t* coordinates) const {
        Key key = 0;
        for (std::size_t i = 0; i < low_.size(); ++i) {
            key += static_cast<Key>(coordinates[i * kEmbedWidth] - low_[i]) << shift_[i];
        }
        return key;
    }
    void step(Key& key, int coordinate) const { key += step_[coordinate]; }  // wraps around as it should

  private:
    static int bits(std::int64_t span) {
        int n = 1;
        while (n < 63 && (std::int64_t{1} << n) <= span) ++n;
        return n;
    }
    static int total_bits(const std::vector<std::int64_t>& low, const std::vector<std::int64_t>& high) {
        int n = 0;
        for (std::size_t i = 0; i < low.size() && n <= 63; ++i) n += bits(high[i] - low[i]);
        return n;
    }
    std::vector<std::int64_t> low_;
    std::vector<int> shift_;
    std::vector<Key> step_;
};

class WideKeys {
  public:
    using TileIndex = WideIndex;
    using Index = WideIndex;
    using Key = WideIndex::Key;

    explicit WideKeys(int dims) : dims_(dims) {}
    Key make(const std::int32_t* coordinates) const {
        Key key(dims_);
        for (int i = 0; i < dims_; ++i) key[i] = coordinates[i * kEmbedWidth];
        return key;
    }
    void step(Key& key, int coordinate) const {
        for (std::int32_t& x : key) ++x;
        if (coordinate < dims_) key[coordinate] -= dims_ + 1;
    }

  private:
    int dims_;
};

}  // namespace dense_crf
