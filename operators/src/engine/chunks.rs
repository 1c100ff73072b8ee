//! Chunks: a list that grows without moving its elements.
//!
//! A vector that doubles copies all its elements at once and holds both copies while it does. Here the elements are in chunks of
//! a fixed size, so that a push moves a bounded number of bytes, however long the list is, and no more than one chunk is
//! partly unused. The size is one of those that allocators have, because a larger one is rounded up by a sixth on average, and one
//! beyond 128 KiB by up to a third.

use std::ops::{Index, IndexMut};

use super::heap::SAMPLE;

/// The bytes of a chunk, at most.
const CHUNK_BYTES: usize = 1 << 16;

/// A list of elements, each with an index.
#[derive(Clone)]
pub(crate) struct Chunks<T> {
    /// All chunks but the last are full, and none is empty.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// The number of elements of a chunk.
    const CHUNK: usize = match size_of::<T>() {
        0..=16 => CHUNK_BYTES / 16,
        size if size < CHUNK_BYTES / 16 => CHUNK_BYTES / size,
        _ => 16,
    };

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1);
        full * Self::CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    /// The element at an index.
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        let at = at as usize;
        self.chunks.get(at / Self::CHUNK)?.get(at % Self::CHUNK)
    }

    /// The element at an index, to be changed.
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let at = at as usize;
        self.chunks
            .get_mut(at / Self::CHUNK)?
            .get_mut(at % Self::CHUNK)
    }

    /// The elements, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Some of the elements, evenly spread over the list: older ones have mostly grown more than newer ones.
    pub(crate) fn sample(&self) -> impl Iterator<Item = &T> {
        let step = self.len().div_ceil(SAMPLE).max(1);
        let sample = (0..self.len() as u32).step_by(step);
        sample.filter_map(|at| self.get(at))
    }

    /// Appends an element. Returns it, to be changed.
    pub(crate) fn push(&mut self, element: T) -> &mut T {
        let at = match self.chunks.last() {
            Some(last) if last.len() < Self::CHUNK => self.chunks.len() - 1,
            last => {
                // The first chunk begins small, because many lists stay short.
                let chunk = match last {
                    None => Vec::new(),
                    Some(_) => Vec::with_capacity(Self::CHUNK),
                };
                self.chunks.push(chunk);
                self.chunks.len() - 1
            }
        };
        let chunk = &mut self.chunks[at];
        chunk.push(element);
        let last = chunk.len() - 1;
        &mut chunk[last]
    }

    /// Removes and returns the element at an index, which the last element takes. Panics if there is none.
    pub(crate) fn swap_remove(&mut self, at: u32) -> T {
        let last = self.len() as u32 - 1;
        let end = self.chunks.len() - 1;
        let removed = match at == last {
            true => self.chunks[end].pop(),
            false => {
                let moved = self.chunks[end].pop();
                moved.map(|moved| std::mem::replace(&mut self[at], moved))
            }
        };
        if self.chunks[end].is_empty() {
            self.chunks.pop();
        }
        if self.chunks.is_empty() {
            *self = Chunks::default();
        }
        removed.unwrap_or_else(|| unreachable!("no chunk is empty"))
    }

    /// The bytes of the list, without what its elements own.
    pub(crate) fn bytes(&self) -> usize {
        let last = self.chunks.last().map_or(0, Vec::capacity);
        let full = self.chunks.len().saturating_sub(1) * Self::CHUNK;
        (full + last) * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<u32> for Chunks<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        let at = at as usize;
        &self.chunks[at / Self::CHUNK][at % Self::CHUNK]
    }
}

impl<T> IndexMut<u32> for Chunks<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        let at = at as usize;
        &mut self.chunks[at / Self::CHUNK][at % Self::CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_vector() {
        let (mut chunks, mut vec) = (Chunks::default(), Vec::new());
        for at in 0..20_000_usize {
            let number = at.wrapping_mul(2_654_435_761) >> 7;
            // Grows to thousands of elements, and then goes back to none.
            if vec.is_empty() || number % 20_000 > at {
                *chunks.push(0) += number;
                vec.push(number);
            } else {
                let at = number % vec.len();
                assert_eq!(chunks.swap_remove(at as u32), vec.swap_remove(at));
            }
            let at = number % (vec.len() + 1);
            assert_eq!(chunks.get(at as u32), vec.get(at));
            assert_eq!(chunks.get_mut(at as u32), vec.get_mut(at));
            assert_eq!(chunks.len(), vec.len());
        }
        assert!(vec.len() < 5_000 && chunks.iter().eq(&vec));
        while !vec.is_empty() {
            assert_eq!(chunks.swap_remove(0), vec.swap_remove(0));
        }
        assert_eq!((chunks.len(), chunks.bytes()), (0, 0));
    }
}
