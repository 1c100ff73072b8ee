//! Recent answers, so that a dashboard that many people watch is computed once
//! per change of the cells.
//!
//! An answer belongs to the stamp of its cells and is forgotten when another
//! stamp is asked for. The number of answers and their bytes are bounded; the
//! oldest go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;

/// Maximum number of answers.
const ANSWERS: usize = 256;

/// Maximum number of bytes of all answers.
const BYTES: usize = 32 << 20;

/// An answer as it is sent.
pub(super) struct Cached {
    /// Stamp of the cells that it was computed from.
    pub(super) stamp: u64,
    /// Its content type.
    pub(super) content: &'static str,
    /// Its body.
    pub(super) body: Bytes,
    /// Position of the next page.
    pub(super) next: Option<String>,
}

/// Answers by query, the oldest first.
#[derive(Default)]
pub(super) struct Cache(Mutex<VecDeque<(String, Arc<Cached>)>>);

impl Cache {
    /// The answer to a query over the cells of a stamp.
    pub(super) fn get(&self, key: &str, stamp: u64) -> Option<Arc<Cached>> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(_, answer)| answer.stamp >= stamp);
        let found = answers
            .iter()
            .find(|(known, answer)| known == key && answer.stamp == stamp);
        found.map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer.
    pub(super) fn put(&self, key: String, answer: Cached) -> Arc<Cached> {
        let answer = Arc::new(answer);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back((key, answer.clone()));
        let size = |answers: &VecDeque<(String, Arc<Cached>)>| -> usize {
            answers.iter().map(|(_, answer)| answer.body.len()).sum()
        };
        while answers.len() > ANSWERS || size(&answers) > BYTES {
            answers.pop_front();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(stamp: u64, bytes: usize) -> Cached {
        Cached {
            stamp,
            content: "",
            body: vec![0; bytes].into(),
            next: None,
        }
    }

    #[test]
    fn an_answer_ends_with_its_cells_and_the_cache_is_bounded() {
        let cache = Cache::default();
        cache.put("a".to_owned(), answer(1, 1));
        assert!(cache.get("a", 1).is_some() && cache.get("b", 1).is_none());
        assert!(cache.get("a", 2).is_none() && cache.get("a", 1).is_none());
        for at in 0..ANSWERS + 5 {
            cache.put(at.to_string(), answer(2, 1));
        }
        assert!(cache.get("4", 2).is_none() && cache.get("5", 2).is_some());
        cache.put("large".to_owned(), answer(2, BYTES));
        assert!(cache.get("5", 2).is_none() && cache.get("large", 2).is_some());
    }
}
