//! What forward keeps for backward.
//!
//! Forward pushes buffers in the order in which it computes; backward walks the same way back and
//! takes the newest first. So nothing is named or looked up, and what a site keeps is its own
//! affair: it takes back exactly what it pushed, in reverse. Outside training nothing is kept and
//! every buffer goes back to the arena at once.
//!
//! ```text
//! forward   site A pushes a1, a2    site B pushes b1      [a1 a2 b1]
//! backward  site B takes b1         site A takes a2, a1   []
//! ```

use budwood_engine::{Buf, Context, View};

use crate::params::Slot;

/// Where forward puts what backward will need.
pub(crate) struct Save<'a>(Option<&'a mut Vec<Buf>>);

impl<'a> Save<'a> {
    /// Keeps buffers on this list.
    pub(crate) fn on(list: &'a mut Vec<Buf>) -> Self {
        Self(Some(list))
    }

    /// Keeps nothing: no backward pass will follow.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// Keeps buffers on this list, if there is one.
    pub(crate) fn on_any(list: Option<&'a mut Vec<Buf>>) -> Self {
        Self(list)
    }

    /// Whether anything is kept.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The same for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Save<'_> {
        Save(self.0.as_deref_mut())
    }

    /// Keeps a buffer, or gives it back to the arena.
    pub(crate) fn push(&mut self, cx: &mut Context, buffer: Buf) {
        match &mut self.0 {
            Some(list) => list.push(buffer),
            None => cx.give(buffer),
        }
    }

    /// Keeps a copy of what will be overwritten.
    pub(crate) fn push_copy(&mut self, cx: &mut Context, x: View<'_>) {
        if let Some(list) = &mut self.0 {
            list.push(cx.copy(x));
        }
    }
}

/// What backward takes from and adds to.
pub(crate) struct Grads<'a> {
    /// What forward kept, newest last.
    pub(crate) saved: &'a mut Vec<Buf>,
    /// The gradient of all parameters, as [`crate::Params`] lays them out.
    pub(crate) gradient: &'a mut [f32],
}

impl Grads<'_> {
    /// Takes the newest kept buffer.
    ///
    /// # Panics
    /// If backward takes more than forward kept.
    pub(crate) fn pop(&mut self) -> Buf {
        match self.saved.pop() {
            Some(buffer) => buffer,
            None => panic!("backward takes more than forward kept"),
        }
    }

    /// The gradient of one tensor.
    pub(crate) fn of(&mut self, slot: &Slot) -> &mut [f32] {
        &mut self.gradient[slot.clone()]
    }

    /// The gradients of two neighbours at once.
    ///
    /// # Panics
    /// If the second does not follow the first.
    pub(crate) fn of_two(&mut self, first: &Slot, second: &Slot) -> (&mut [f32], &mut [f32]) {
        assert_eq!(first.end, second.start, "slots are not neighbours");
        self.gradient[first.start..second.end].split_at_mut(first.len())
    }
}
