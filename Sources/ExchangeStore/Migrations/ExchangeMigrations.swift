package import NodeDatabase

/// The migrations of the exchange's tables. The numbers are the product's: see `Migration`.
package enum ExchangeMigrations {
  package static let all = [
    Migration(1, Migration001.name, Migration001.sql),
    Migration(2, Migration002.name, Migration002.sql),
    Migration(3, Migration003.name, Migration003.sql),
    Migration(4, Migration004.name, Migration004.sql),
    Migration(5, Migration005.name, Migration005.sql),
  ]
}
