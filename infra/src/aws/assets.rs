//! The bucket with the packages and the template.

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::error::Named;
use super::{Account, CloudError};

/// What every key begins with, and the name of the bucket that is made where none is named.
const PREFIX: &str = "sqs-circuit-breaker";

/// The one Region whose name must not be given when a bucket is made.
const REGION_WITHOUT_CONSTRAINT: &str = "us-east-1";

/// A bucket for assets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Whether it is there already.
    pub exists: bool,
    /// Whether it has the name that `deploy` gives: such a one is made when it is missing, and removed when the last
    /// stack that used it has gone.
    pub is_default: bool,
}

/// What the keys of a stack's objects begin with; ends with a slash.
pub(super) fn stack_prefix(stack: &str) -> String {
    format!("{PREFIX}/{stack}/")
}

/// The bucket that is to be used: the named one, or the default of the account and Region.
///
/// # Errors
/// A named bucket that is not there, and a bucket that belongs to somebody else.
pub(super) async fn find_bucket(account: &Account, named: Option<&str>) -> Result<Bucket, CloudError> {
    let default = format!("{PREFIX}-{}-{}", account.id, account.region);
    let name = named.map_or(default, str::to_owned);
    // The owner is named on every call, so that nobody who took the name before gets the packages.
    let answer = account
        .s3
        .head_bucket()
        .bucket(&name)
        .expected_bucket_owner(&account.id)
        .send()
        .await
        .named("HeadBucket");
    let exists = match answer {
        Ok(_) => true,
        Err(error) if error.is_missing() && named.is_none() => false,
        Err(error) if error.is_missing() => {
            return Err(CloudError::unfit(
                format!("there is no bucket {name}"),
                "make it, or leave --asset-bucket out: then a bucket is made after asking",
            ));
        }
        // A HEAD has no body, so S3 can say no more than the status.
        Err(CloudError::Refused { code, .. })
            if ["301", "400", "403", "Forbidden", "AccessDenied"].contains(&&*code) =>
        {
            return Err(CloudError::unfit(
                format!(
                    "bucket {name} cannot be used from account {} in {} (S3 says {code})",
                    account.id, account.region
                ),
                "name a bucket of this account and Region with --asset-bucket",
            ));
        }
        Err(error) => return Err(error),
    };
    Ok(Bucket { name, exists, is_default: named.is_none() })
}

/// Makes the bucket. S3 encrypts it and blocks public access to it by default (since 2023).
pub(super) async fn create_bucket(account: &Account, bucket: &Bucket) -> Result<(), CloudError> {
    let place = (account.region != REGION_WITHOUT_CONSTRAINT).then(|| {
        let region = BucketLocationConstraint::from(account.region.as_str());
        CreateBucketConfiguration::builder().location_constraint(region).build()
    });
    account
        .s3
        .create_bucket()
        .bucket(&bucket.name)
        .set_create_bucket_configuration(place)
        .send()
        .await
        .named("CreateBucket")?;
    Ok(())
}

/// Uploads a file unless it is there: keys hold a digest, so that the same key has the same content. Whether it was
/// uploaded.
pub(super) async fn upload_file(
    account: &Account,
    bucket: &Bucket,
    key: &str,
    file: &Path,
) -> Result<bool, CloudError> {
    if exists(account, bucket, key).await? {
        return Ok(false);
    }
    let body = ByteStream::from_path(file).await.map_err(|error| {
        CloudError::unfit(
            format!("{} cannot be read: {error}", file.display()),
            "run `breaker package` again",
        )
    })?;
    put(account, bucket, key, body).await?;
    Ok(true)
}

/// The same with a text.
pub(super) async fn upload_text(
    account: &Account,
    bucket: &Bucket,
    key: &str,
    text: String,
) -> Result<(), CloudError> {
    put(account, bucket, key, ByteStream::from(text.into_bytes())).await
}

async fn exists(account: &Account, bucket: &Bucket, key: &str) -> Result<bool, CloudError> {
    let head = account.s3.head_object().bucket(&bucket.name).key(key).expected_bucket_owner(&account.id);
    match head.send().await.named("HeadObject") {
        Ok(_) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn put(account: &Account, bucket: &Bucket, key: &str, body: ByteStream) -> Result<(), CloudError> {
    let put = account.s3.put_object().bucket(&bucket.name).key(key).expected_bucket_owner(&account.id);
    put.body(body).send().await.named("PutObject")?;
    Ok(())
}

/// The address under which CloudFormation reads an object.
pub(super) fn object_url(account: &Account, bucket: &Bucket, key: &str) -> String {
    let name = &bucket.name;
    match &account.endpoint_url {
        Some(endpoint) => format!("{}/{name}/{key}", endpoint.trim_end_matches('/')),
        None => {
            let suffix = if account.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{name}.s3.{}.{suffix}/{key}", account.region)
        }
    }
}

/// Deletes a stack's objects, and the bucket if it is the default one and nothing else is in it. How many objects
/// there were, and whether the bucket went too.
pub(super) async fn clear(
    account: &Account,
    bucket: &Bucket,
    stack: &str,
) -> Result<(usize, bool), CloudError> {
    let keys = keys(account, bucket, &stack_prefix(stack)).await?;
    for key in &keys {
        let delete = account.s3.delete_object().bucket(&bucket.name).key(key);
        delete.expected_bucket_owner(&account.id).send().await.named("DeleteObject")?;
    }
    let is_empty = bucket.is_default && self::keys(account, bucket, "").await?.is_empty();
    if is_empty {
        let delete = account.s3.delete_bucket().bucket(&bucket.name).expected_bucket_owner(&account.id);
        delete.send().await.named("DeleteBucket")?;
    }
    Ok((keys.len(), is_empty))
}

/// Keys of the objects of a stack that are in the bucket.
pub(super) async fn keys(
    account: &Account,
    bucket: &Bucket,
    prefix: &str,
) -> Result<Vec<String>, CloudError> {
    let list = account.s3.list_objects_v2().bucket(&bucket.name).prefix(prefix);
    let mut pages = list.expected_bucket_owner(&account.id).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.named("ListObjectsV2")?;
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
    }
    Ok(keys)
}
