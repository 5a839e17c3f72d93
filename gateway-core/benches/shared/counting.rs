//! An allocator that counts, for the tests that keep a bound on allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what the calling thread asks of it.
pub(crate) struct Counting;

thread_local! {
    // Constant and without a destructor, so that reaching it never allocates.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a cell of this thread alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
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
