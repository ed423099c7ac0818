//! The cases of `benches/micro` run, each twice: what they call still exists and does what they expect.
//!
//! Their program is a workspace of its own that the gate does not build.

// As a program's own they may be public.
#![allow(unreachable_pub)]

#[path = "../../benches/micro/src/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../../benches/micro/src/cases/mod.rs"]
mod cases;
#[path = "../../benches/micro/src/fixture.rs"]
mod fixture;

#[test]
fn every_case_runs() {
    for case in cases::all() {
        println!("{}", case.name);
        let mut bench = (case.prepare)();
        for _ in 0..2 {
            (bench.between)();
            (bench.run)();
        }
    }
}
