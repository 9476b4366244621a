import ExchangeCore
import ExchangeStore
import Testing

/// Listings have no silent end.
@Suite struct PagingTests {
  @Test func everyDeliveryOfMoreThanAHundredThousandIsListed() throws {
    let test = try TestStore()
    let key = try #require(try test.issue().first)
    let count = 100_001
    try test.sql(
      """
      INSERT INTO delivery (document, recipient, sequence, urgency, state, createdAt, updatedAt)
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      SELECT document, 'U' || i, 1, 0, 'queued', 0, 0 FROM n, delivery WHERE delivery.key = \(key)
      """)
    var keys: Set<Int64> = []
    var last: Int64 = 0
    var isOrdered = true
    try test.store.reader.eachDelivery(DeliveryFilter()) { delivery in
      keys.insert(delivery.key)
      isOrdered = isOrdered && delivery.key > last
      last = delivery.key
    }
    #expect(keys.count == count + 1 && isOrdered)
  }

  @Test(arguments: [1, 499, 500, 501, 1000, 1001, 1002, 5000]) func aLimitIsKeptAndSaid(
    _ limit: Int
  ) throws {
    let test = try TestStore()
    let count = 1001
    try test.sql(
      """
      INSERT INTO received (sender, messageID, bodySha256, type, size, lane, state, outcome,
        receivedAt, updatedAt)
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      SELECT 'U', i, randomblob(32), 'x', 1, 'ordinary', 'quarantined', 'X', 0, 0 FROM n
      """)
    var keys: [Int64] = []
    let hasMore = try test.store.reader.eachQuarantined(limit: limit) { keys.append($0.key) }
    #expect(keys.count == min(limit, count) && hasMore == (limit < count))
    #expect(keys == keys.sorted(by: >) && Set(keys).count == keys.count)
    #expect(try test.store.reader.quarantinedCount() == count)
  }
}
