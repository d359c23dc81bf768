// How much memory calls may have: they are refused before they touch what is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

namespace densecrf::cpu {

// Becomes Python's MemoryError; says how much was asked for and how much there is.
class OutOfMemory : public std::bad_alloc {
  public:
    explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

  private:
    std::string message_;
};

// Throws OutOfMemory if `bytes` more than this process may have (physical memory, control groups, limits).
void require_memory(size_t bytes);

// What a thread has been told that it may have, until it has touched it: the system would promise it to others.
class Promise {
  public:
    // Throws as above. Asks if it is much, or if many small ones are as much.
    explicit Promise(size_t bytes);
    ~Promise();
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

  private:
    const int64_t bytes_;
};

// A call that goes on: it may hold blocks that it has not touched yet.
class CallGoingOn {
  public:
    CallGoingOn();
    ~CallGoingOn();
    CallGoingOn(const CallGoingOn&) = delete;
    CallGoingOn& operator=(const CallGoingOn&) = delete;
};

// Whether so much is small beside what is available, even if every call that goes on takes several of it.
bool is_little(size_t bytes);

// To be told of all that comes from the system, and, negative, of what goes back.
void count_taken(int64_t bytes);

// What was available when somebody last asked, less what was taken since.
size_t probably_available();

// Who keeps memory for calls to come; lattices are made of blocks, and so go first.
enum class Keeper { kLattices, kBlocks };

// What they do before any is refused; to be set once, when the library is loaded.
void before_refusing(Keeper keeper, void (*give_back)());

// Has all of that done; the C library, too, gives back what it keeps of all that this process has freed.
void give_back();

}  // namespace densecrf::cpu
