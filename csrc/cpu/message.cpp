#include "message.h"

namespace densecrf::cpu {

void message(const Passes& passes, const float* values, const Execution& execution, float* out) {
    const int64_t points = passes.order().points();
    const Planes<const float> from{values, points, passes.labels()};
    const Planes<float> to{out, points, passes.labels()};
    BlockedValues rows;
    passes.shape_rows(rows);
    Team team(execution, passes.order().partitions());
    team.run([&](int thread) {
        Scratch scratch(passes.stride());
        float *x = scratch.x.data(), *q = scratch.q.data();
        team.each(thread, passes.order().partitions(), [&](int64_t p) {
            passes.clear(p, rows);
            passes.for_each_run(p, [&](const Run& run) {
                kernels().read_values(from, run.first, run.count, q, passes.stride());
                passes.splat(run, q, rows);
            });
        });
        passes.filter(rows, team, thread);
        team.each(thread, passes.order().partitions(), [&](int64_t p) {
            passes.for_each_run(p, [&](const Run& run) {
                passes.slice(run, rows, nullptr, x);
                kernels().write(run.count, x, passes.stride(), kLn2, to, run.first);
            });
        });
    });
}

}  // namespace densecrf::cpu
