//! An allocator that counts for each thread, for the tests that keep a bound on allocations.

mod allocator;

use std::cell::Cell;

pub(crate) use allocator::Counting;

/// Counts what the calling thread asks for.
pub(crate) const BY_THREAD: Counting = Counting(count);

thread_local! {
    // Constant and without a destructor, so that reaching it never allocates.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

/// Fails where `work` asks for memory more often than `most` times.
#[track_caller]
pub(crate) fn check<T>(step: &str, most: usize, mut work: impl FnMut() -> T) {
    // What is made once, such as a table, does not count.
    drop(work());
    let before = ALLOCATIONS.get();
    let made = work();
    let taken = ALLOCATIONS.get() - before;
    drop(made);
    println!("{taken:>3} of at most {most:>2}  {step}");
    assert!(
        taken <= most,
        "{step}: {taken} allocations, {most} are allowed"
    );
}
