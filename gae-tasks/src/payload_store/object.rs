//! Payloads in a folder, in memory or in an object store, through the crate `object_store`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::store::{IntoPayloadStore, PayloadStore, Stored};
use crate::error::Error;
use crate::outcome::BoxError;
use crate::task::TaskId;
use crate::time::Timestamp;

/// A payload store in an [`ObjectStore`]; clones are the same store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use std::sync::Arc;
///
/// use gae_tasks::{Client, payload_store::ObjectPayloads};
/// use object_store::memory::InMemory;
///
/// let store = ObjectPayloads::new(Arc::new(InMemory::new())).prefix("tasks");
/// let tasks = Client::builder().payload_store(store).open("memory:").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ObjectPayloads {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    name: String,
}

impl ObjectPayloads {
    /// Creates a payload store at the root of `store`; see [`prefix`](Self::prefix).
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        let name = store.to_string();
        Self { store, prefix: Path::default(), name }
    }

    /// Puts the objects under this path. Programs that share a store but not their tasks need
    /// different prefixes; otherwise they sweep each other's payloads.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Path::from(prefix);
        self.name = format!("{}/{}", self.store, self.prefix);
        self
    }

    /// Opens the store that a URL names.
    ///
    /// `file:///FOLDER` is a folder, created if missing, for programs that see the same disk;
    /// payloads are synced to the disk. `gs://BUCKET/PREFIX` (feature `gcs`) is Google Cloud
    /// Storage, with the credentials of the environment: the service account's on Google's
    /// platforms, or those in the file that `GOOGLE_APPLICATION_CREDENTIALS` names. `memory:` is a
    /// new, empty store in this process, for tests.
    ///
    /// # Errors
    /// [`Error::PayloadStoreUrl`] if the URL names no store, [`Error::PayloadStore`] if the store
    /// cannot be opened.
    pub fn open(url: &str) -> Result<Self, Error> {
        let refused = |problem: &str| Error::PayloadStoreUrl {
            url: url.to_owned(),
            problem: problem.to_owned(),
        };
        let (scheme, place) = url.split_once(':').ok_or_else(|| refused("has no scheme"))?;
        match scheme {
            // Each store in memory is different, so its name must be unique.
            "memory" if place.is_empty() => {
                Ok(Self::named(InMemory::new(), format!("memory:{}", TaskId::generate())))
            }
            "memory" => Err(refused("names a place, which `memory:` does not have")),
            "file" => match place.strip_prefix("//").unwrap_or(place) {
                folder if folder.starts_with('/') => Self::folder(url, folder),
                _ => Err(refused("does not contain the absolute path of a folder")),
            },
            "gs" => match place
                .strip_prefix("//")
                .map(|place| place.split_once('/').unwrap_or((place, "")))
            {
                Some((bucket, prefix)) if !bucket.is_empty() => Self::bucket(url, bucket, prefix),
                _ => Err(refused("does not name a bucket")),
            },
            _ => Err(refused("has an unknown scheme")),
        }
    }

    fn named(store: impl ObjectStore, name: String) -> Self {
        Self { store: Arc::new(store), prefix: Path::default(), name }
    }

    fn folder(url: &str, folder: &str) -> Result<Self, Error> {
        let failed = |source: BoxError| Error::PayloadStore {
            store: url.to_owned(),
            problem: "cannot be opened: it must be a folder that this program can write to"
                .to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(error.into()))?;
        // The task that contains the key survives a power loss, so the payload must too.
        Ok(Self::named(store.with_fsync(true), format!("file://{}", folder.trim_end_matches('/'))))
    }

    #[cfg(feature = "gcs")]
    fn bucket(url: &str, bucket: &str, prefix: &str) -> Result<Self, Error> {
        let builder =
            object_store::gcp::GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
        let store = builder.build().map_err(|error| Error::PayloadStore {
            store: url.to_owned(),
            problem: "cannot be opened: check the bucket's name and the credentials of the \
                      environment"
                .to_owned(),
            source: error.into(),
        })?;
        let prefix = Path::from(prefix);
        Ok(Self { prefix: prefix.clone(), ..Self::named(store, bucket_name(bucket, &prefix)) })
    }

    #[cfg(not(feature = "gcs"))]
    fn bucket(url: &str, _bucket: &str, _prefix: &str) -> Result<Self, Error> {
        let problem =
            "needs the feature `gcs` of gae-tasks, which is disabled in this build".to_owned();
        Err(Error::PayloadStoreUrl { url: url.to_owned(), problem })
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.clone().join(key)
    }
}

impl PayloadStore for ObjectPayloads {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        Box::pin(async move {
            self.store.put(&self.path(key), Bytes::from(payload).into()).await?;
            Ok(())
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            match self.store.get(&self.path(key)).await {
                Ok(found) => Ok(Some(found.bytes().await?.into())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn get_at_most<'a>(&'a self, key: &'a str, limit: u64) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = match self.store.get(&self.path(key)).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
            let size = usize::try_from(found.meta.size).unwrap_or(usize::MAX);
            // A vector that grows would take twice the memory.
            let (mut payload, mut pieces) =
                (Vec::with_capacity(size.min(most)), found.into_stream());
            while payload.len() < most
                && let Some(piece) = pieces.try_next().await?
            {
                payload.extend_from_slice(&piece[..piece.len().min(most - payload.len())]);
            }
            Ok(Some(payload))
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        Box::pin(async move {
            match self.store.delete(&self.path(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async move {
            let mut found = self.store.list(Some(&self.prefix));
            let mut keys = Vec::new();
            while let Some(object) = found.try_next().await? {
                let put = Timestamp::from_micros(object.last_modified.timestamp_micros());
                // Deeper objects do not belong to this store.
                let key =
                    object.location.filename().filter(|key| self.path(key) == object.location);
                keys.extend(key.filter(|_| put < moment).map(str::to_owned));
            }
            Ok(keys)
        })
    }
}

impl IntoPayloadStore for Arc<dyn ObjectStore> {
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        Ok(Arc::new(ObjectPayloads::new(self)))
    }
}

impl fmt::Debug for ObjectPayloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectPayloads").field(&self.name).finish()
    }
}

/// A bucket and a prefix as a URL, in one normal form.
#[cfg(feature = "gcs")]
fn bucket_name(bucket: &str, prefix: &Path) -> String {
    format!("gs://{bucket}/{prefix}").trim_end_matches('/').to_owned()
}

#[cfg(all(test, feature = "gcs"))]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_bucket_has_one_name() {
        for (prefix, name) in [
            ("", "gs://shop"),
            ("/", "gs://shop"),
            ("a/b", "gs://shop/a/b"),
            ("a/b/", "gs://shop/a/b"),
        ] {
            assert_eq!(bucket_name("shop", &Path::from(prefix)), name);
        }
    }
}
