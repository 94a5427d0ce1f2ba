//! `ProgressView` on MongoDB.

use views::error::ViewError;
use views::progress::testing::ProgressDatabase;
use views::progress::{ProgressReader, ProgressView};
use views::testing::mongodb::bson::{self, Document, doc};

fn document(generation: i32, principal: &str, last_seq: i64) -> Document {
    let at = bson::DateTime::from_millis(1_800_000_000_000);
    doc! {
        "_id": {"generation": generation, "principal": principal}, "last_seq": last_seq,
        "submissions": {"run": 1_i64, "submit": 0_i64}, "verdicts": {"run": {}, "submit": {}},
        "failed": 0_i64, "cancelled": 0_i64, "solved": {"suites": 0_i64, "submissions": 0_i64},
        "languages": {"python": 1_i64},
        "recent": [{
            "submission": "018f2f5e-0000-7000-8000-000000000001", "language": "python", "lane": "run",
            "state": "accepted", "accepted_at": at,
        }],
    }
}

async fn reader(mongo: &ProgressDatabase) -> ProgressReader {
    ProgressReader::open(&mongo.url, mongo.documents.name()).await.unwrap()
}

fn pointer(generation: i32) -> Document {
    doc! {"_id": "progress", "generation": generation, "last_generation": 2, "sequence": 9_i64, "reserved": 9_i64}
}

#[tokio::test]
async fn a_users_document_of_the_live_generation_is_found() {
    let mongo = ProgressDatabase::fresh().await;
    mongo.insert("projections", pointer(2)).await;
    mongo.insert("progress_v1", document(1, "ada", 5)).await;
    mongo.insert("progress_v1", document(2, "ada", 9)).await;
    let found = reader(&mongo).await.find_user(&"ada".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.last_seq, found.submissions.run), (9, 1));
    mongo.remove().await;
}

#[tokio::test]
async fn a_new_user_and_an_empty_view_have_nothing() {
    let mongo = ProgressDatabase::fresh().await;
    let ada = "ada".parse().unwrap();
    assert_eq!(reader(&mongo).await.find_user(&ada).await.unwrap(), None);
    mongo.insert("projections", pointer(1)).await;
    mongo.insert("progress_v1", document(2, "ada", 9)).await;
    assert_eq!(reader(&mongo).await.find_user(&ada).await.unwrap(), None);
    reader(&mongo).await.ping().await.unwrap();
    mongo.remove().await;
}

#[tokio::test]
async fn an_impossible_document_is_told_by_collection_member_and_key() {
    let mongo = ProgressDatabase::fresh().await;
    mongo.insert("projections", pointer(1)).await;
    let mut bad = document(1, "ada", 5);
    bad.insert("failed", -1_i64);
    mongo.insert("progress_v1", bad).await;
    let error = reader(&mongo).await.find_user(&"ada".parse().unwrap()).await.unwrap_err();
    let told =
        "impossible value in progress_v1.failed of { \"generation\": 1, \"principal\": \"ada\" }";
    assert_eq!(error.to_string(), told);
    mongo.remove().await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_away() {
    let view =
        ProgressReader::open("mongodb://127.0.0.1:1/?directConnection=true", "none").await.unwrap();
    let error = view.find_user(&"ada".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ViewError::Away { .. }), "{error:?}");
}
