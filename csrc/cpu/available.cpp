#include "available.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>

#if defined(__linux__)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace densecrf::cpu {
namespace {

constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

// MemAvailable counts what the kernel can reclaim without swapping; unlimited where there is no such file.
size_t left_by_machine() {
    std::ifstream file("/proc/meminfo");
    std::string name, unit;
    size_t kilobytes = 0;
    while (file >> name >> kilobytes) {
        if (name == "MemAvailable:") return kilobytes * 1024;
        std::getline(file, unit);
    }
    return kUnlimited;
}

// What limits of the process itself leave, as `ulimit -v` and `ulimit -d` set them: of all addresses, and of those
// that hold data.
#if defined(__linux__)
size_t left_by_limits() {
    std::ifstream file("/proc/self/statm");
    size_t pages[6] = {};  // all, resident, shared, code, nothing, data
    for (size_t& count : pages) file >> count;
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t left = kUnlimited;
    for (const auto& [resource, used] : {std::pair{RLIMIT_AS, pages[0]}, std::pair{RLIMIT_DATA, pages[5]}}) {
        rlimit limit{};
        if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
        left = std::min<size_t>(left, limit.rlim_cur - std::min<size_t>(limit.rlim_cur, used * page));
    }
    return left;
}
#else
size_t left_by_limits() {
    return kUnlimited;
}
#endif

// One version of control groups: where they are found, and what their files are called.
struct Hierarchy {
    const char *root, *limit, *used;
    const char* cached[2];  // of memory.stat: pages of files
};

constexpr Hierarchy kVersion1{"/sys/fs/cgroup/memory",
                              "memory.limit_in_bytes",
                              "memory.usage_in_bytes",
                              {"total_inactive_file", "total_active_file"}};
constexpr Hierarchy kVersion2{"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}};

size_t read_number(const std::string& path, size_t otherwise) {
    std::ifstream file(path);
    size_t value = 0;
    return file >> value ? value : otherwise;
}

size_t cached_files(const Hierarchy& hierarchy, const std::string& group) {
    std::ifstream file(group + "/memory.stat");
    std::string name;
    size_t bytes = 0, sum = 0;
    while (file >> name >> bytes)
        if (name == hierarchy.cached[0] || name == hierarchy.cached[1]) sum += bytes;
    return sum;
}

size_t left_by_group(const Hierarchy& hierarchy, const std::string& group) {
    const size_t limit = read_number(group + "/" + hierarchy.limit, kUnlimited);  // "max" is no number
    if (limit == kUnlimited) return kUnlimited;
    const size_t used = read_number(group + "/" + hierarchy.used, 0);
    const size_t held = used - std::min(used, cached_files(hierarchy, group));
    return limit - std::min(limit, held);
}

// A group and all that it is in. In a container the path may be that of the host, and then only the root is there.
size_t left_by_groups(const Hierarchy& hierarchy, std::string path) {
    size_t left = left_by_group(hierarchy, hierarchy.root);
    for (; path.size() > 1; path.resize(path.rfind('/')))
        left = std::min(left, left_by_group(hierarchy, hierarchy.root + path));
    return left;
}

// Lines of /proc/self/cgroup are number:controllers:path, and version 2 has neither number nor controllers.
size_t left_by_all_groups() {
    std::ifstream file("/proc/self/cgroup");
    size_t left = kUnlimited;
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string number, controllers, path;
        std::getline(std::getline(std::getline(fields, number, ':'), controllers, ':'), path);
        if (controllers.empty()) left = std::min(left, left_by_groups(kVersion2, path));
        if (("," + controllers + ",").find(",memory,") != std::string::npos)
            left = std::min(left, left_by_groups(kVersion1, path));
    }
    return left;
}

}  // namespace

size_t available_memory() {
    return std::min({left_by_machine(), left_by_limits(), left_by_all_groups()});
}

}  // namespace densecrf::cpu
