//! Deletes of which AWS takes many in one request and allows few requests: those that wait for one another's request
//! to be over go together with the next.

use crate::aws::Failure;
use crate::retry;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::task::yield_now;

/// What is to be deleted, by name.
#[derive(Default)]
pub struct Together {
    /// None while a name waits.
    names: Mutex<BTreeMap<String, Option<Went>>>,
    /// Held for a request.
    turn: tokio::sync::Mutex<()>,
}

/// What became of the request that a name went with.
#[derive(Clone)]
enum Went {
    Answered(Result<(), Failure>),
    /// One of its names was refused. AWS may have deleted all the others, or none: as each goes alone now,
    /// it shows which one it is.
    Suspect,
}

impl Together {
    /// Deletes `name` with `delete`, which is given at most `most` names that wait for it by then. Each name
    /// once at a time.
    ///
    /// # Errors
    /// What AWS says of this name, or of a request that it went with.
    pub(super) async fn delete<F>(
        &self,
        name: &str,
        most: usize,
        delete: impl Fn(Vec<String>) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        self.names().insert(name.to_owned(), None);
        yield_now().await; // whatever else begins now is waiting, too, when the first request goes out
        let turn = self.turn.lock().await;
        let went = self.names().get(name).cloned().flatten();
        let went = match went {
            Some(went) => went,
            None => {
                let names = self.waiting(name, most);
                let went = match delete(names.clone()).await {
                    Err(failure) if names.len() > 1 && is_about_one(&failure) => Went::Suspect,
                    answer => Went::Answered(answer),
                };
                // Not before there is an answer: who is stopped on the way leaves them to the next.
                self.names().extend(names.into_iter().map(|name| (name, Some(went.clone()))));
                went
            }
        };
        drop(turn);
        self.names().remove(name);
        match went {
            Went::Answered(answer) => answer,
            Went::Suspect => delete(vec![name.to_owned()]).await,
        }
    }

    /// This name, and others that wait.
    fn waiting(&self, name: &str, most: usize) -> Vec<String> {
        let names = self.names();
        let others = names.iter().filter(|(_, went)| went.is_none());
        let others = others.map(|(other, _)| other.as_str()).filter(|other| *other != name);
        [name].into_iter().chain(others).take(most).map(ToOwned::to_owned).collect()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Option<Went>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not about AWS, or about whoever asks.
fn is_about_one(failure: &Failure) -> bool {
    !(retry::passes(failure) || failure.stopped || failure.is_expired())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    /// Deletes a to e, at most three at a time, of which AWS has an answer of its own to those with `refused` among
    /// them; gives its requests, and who was told of a failure.
    async fn delete(refused: &str, answer: Failure) -> (Vec<String>, Vec<&'static str>) {
        let (together, asked) = (Together::default(), Mutex::new(vec![]));
        let one = async |name: &'static str| {
            let request = |names: Vec<String>| {
                asked.lock().unwrap().push(names.concat());
                let fails = names.iter().any(|name| name == refused);
                let answer = if fails { Err(answer.clone()) } else { Ok(()) };
                async {
                    yield_now().await;
                    answer
                }
            };
            together.delete(name, 3, request).await.is_err().then_some(name)
        };
        let told = join_all(["a", "b", "c", "d", "e"].map(one)).await;
        assert!(together.names().is_empty());
        (asked.into_inner().unwrap(), told.into_iter().flatten().collect())
    }

    #[tokio::test]
    async fn many_go_with_one_request() {
        let (asked, told) = delete("nothing", Failure::default()).await;
        assert_eq!(asked, ["abc", "de"]);
        assert!(told.is_empty());
    }

    #[tokio::test]
    async fn those_that_went_with_one_that_is_refused_go_alone_and_are_not_blamed() {
        let (mut asked, told) = delete("b", Failure::default()).await;
        asked.sort();
        assert_eq!(asked, ["a", "abc", "b", "c", "de"]);
        assert_eq!(told, ["b"]);
    }

    #[tokio::test]
    async fn that_aws_is_not_there_is_asked_once_and_told_to_all() {
        let (asked, told) = delete("b", Failure { ambiguous: true, ..Failure::default() }).await;
        assert_eq!(asked, ["abc", "de"]);
        assert_eq!(told, ["a", "b", "c"]);
    }
}
