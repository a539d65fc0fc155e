//! Deletes of which AWS takes many in one request and allows few requests: those that wait for one another's request
//! to be over go together with the next.

use crate::aws::Failure;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::task::yield_now;

/// What is to be deleted, by name.
#[derive(Default)]
pub struct Together {
    waiting: Mutex<BTreeSet<String>>,
    /// Held for a request. True once one was refused: AWS may have deleted all of its names but one, or none, so from
    /// then on each goes alone, and who is refused is known.
    alone: tokio::sync::Mutex<bool>,
}

impl Together {
    /// Deletes `name` with `delete`, which is given at most `most` names that wait for it by then.
    ///
    /// # Errors
    /// What AWS says of this name.
    pub(super) async fn delete<F>(
        &self,
        name: &str,
        most: usize,
        delete: impl Fn(Vec<String>) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        self.waiting().insert(name.to_owned());
        yield_now().await; // whatever else begins now is waiting, too, when the first request goes out
        let mut alone = self.alone.lock().await;
        if !self.waiting().contains(name) {
            return Ok(()); // went with another's request
        }
        let mut names = vec![name.to_owned()];
        if !*alone {
            let waiting = self.waiting();
            let others = waiting.iter().filter(|other| *other != name);
            names.extend(others.take(most.saturating_sub(1)).cloned());
        }
        let mut deleted = delete(names.clone()).await;
        if deleted.is_err() && names.len() > 1 {
            *alone = true;
            names.truncate(1);
            deleted = delete(names.clone()).await;
        }
        self.waiting().retain(|waiting| !names.contains(waiting));
        deleted
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    /// Deletes a to e, at most three at a time, from a service that has all but `missing`; gives its requests, and
    /// who was told of a failure.
    async fn delete(missing: &[&str]) -> (Vec<String>, Vec<&'static str>) {
        let (together, asked) = (Together::default(), Mutex::new(vec![]));
        let one = async |name: &'static str| {
            let request = |names: Vec<String>| {
                asked.lock().unwrap().push(names.concat());
                let fails = names.iter().any(|name| missing.contains(&name.as_str()));
                let answer = if fails { Err(Failure::default()) } else { Ok(()) };
                async {
                    yield_now().await;
                    answer
                }
            };
            together.delete(name, 3, request).await.is_err().then_some(name)
        };
        let told = join_all(["a", "b", "c", "d", "e"].map(one)).await;
        (asked.into_inner().unwrap(), told.into_iter().flatten().collect())
    }

    #[tokio::test]
    async fn many_go_with_one_request() {
        let (asked, told) = delete(&[]).await;
        assert_eq!(asked, ["abc", "de"]);
        assert!(told.is_empty());
    }

    #[tokio::test]
    async fn once_one_is_refused_each_goes_alone_and_no_other_is_blamed() {
        let (asked, told) = delete(&["b"]).await;
        assert_eq!(asked, ["abc", "a", "b", "c", "d", "e"]);
        assert_eq!(told, ["b"]);
    }
}
