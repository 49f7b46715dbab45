//! The payload store that a URL names.

use std::sync::Arc;

#[cfg(feature = "object-store")]
use super::object::ObjectPayloads;
use super::store::{IntoPayloadStore, PayloadStore};
use crate::error::Error;

impl IntoPayloadStore for &str {
    #[cfg(feature = "object-store")]
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        ObjectPayloads::open(self)?.into_payload_store()
    }

    #[cfg(not(feature = "object-store"))]
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        let problem = "needs the feature `object-store` of gae-tasks, which is disabled in this \
                       build"
            .to_owned();
        Err(Error::PayloadStoreUrl { url: self.to_owned(), problem })
    }
}

impl IntoPayloadStore for String {
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        self.as_str().into_payload_store()
    }
}
