#include "spatial_cache.h"

#include <algorithm>
#include <list>
#include <mutex>

#include "room.h"

namespace densecrf::cpu {
namespace {

constexpr size_t kMostBytes = size_t{64} << 20;  // together; one of a 375 x 500 picture takes 5 to 10 MB

struct Entry {
    std::vector<int64_t> shape;
    std::vector<float> sigma;
    std::shared_ptr<const TermLattice> lattice;
    size_t bytes;
};

size_t bytes_of(const TermLattice& lattice) {
    size_t numbers = lattice.fresh.size() + lattice.row.size() + lattice.barycentric.size() + lattice.norm.size();
    for (const BlurPhase& phase : lattice.phases) numbers += phase.chain.size();
    return 4 * numbers;
}

void forget_all();

// Recently used first.
struct Cache {
    Cache() { before_refusing(Keeper::kLattices, forget_all); }

    std::mutex mutex;  // only ever tried, so that a child forked at any moment runs
    std::list<Entry> entries;
};

// Never destroyed: models may outlive static objects. Made when the library is loaded: see memory.cpp.
Cache& cache = *new Cache;

void forget_all() {
    const std::unique_lock<std::mutex> lock(cache.mutex, std::try_to_lock);
    if (lock) cache.entries.clear();
}

}  // namespace

std::shared_ptr<const TermLattice> find_spatial(const Grid& grid, const Term& term) {
    const std::unique_lock<std::mutex> lock(cache.mutex, std::try_to_lock);
    if (!lock) return nullptr;
    std::list<Entry>& entries = cache.entries;
    for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
        if (entry->shape != grid.shape || entry->sigma != term.position_sigma) continue;
        entries.splice(entries.begin(), entries, entry);
        return entry->lattice;
    }
    return nullptr;
}

bool keep_spatial(const Grid& grid, const Term& term, std::shared_ptr<const TermLattice> lattice) {
    const size_t bytes = bytes_of(*lattice);
    const std::unique_lock<std::mutex> lock(cache.mutex, std::try_to_lock);
    if (!lock || bytes > kMostBytes / 2) return false;
    std::list<Entry>& entries = cache.entries;
    entries.push_front({grid.shape, term.position_sigma, std::move(lattice), bytes});
    size_t total = 0;
    for (auto entry = entries.begin(); entry != entries.end();) {
        total += entry->bytes;
        entry = total > kMostBytes ? entries.erase(entry) : std::next(entry);
    }
    return true;
}

}  // namespace densecrf::cpu
