import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct TLSTests {
  private func settings(_ broker: TestBroker, _ unit: TestBroker.Unit) throws -> BrokerSettings {
    let client = try broker.certificates.issue(unit.id.rawValue)
    var settings = unit.settings(broker, port: broker.tlsPort)
    settings.authentication = .external
    settings.tls = BrokerSettings.TLS(
      caFile: broker.certificates.caFile, certificateFile: client.certificateFile,
      keyFile: client.keyFile)
    return settings
  }

  private func failure(_ settings: BrokerSettings) -> AMQPError? {
    do {
      _ = try BrokerCheck.run(settings, at: settings.hosts[0])
      return nil
    } catch {
      return error
    }
  }

  @Test func aClientCertificateLogsInAndCarriesMessages() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    source.submit(Sample.messages(1...200, to: units[1].id, bytes: 50_000))
    let sink = RecordingSink()
    let publisher = RunningLoop.publish(try settings(broker, units[0]), from: source)
    let consumer = RunningLoop.consume(try settings(broker, units[1]), into: sink)
    let stored = try await sink.stored(200)
    #expect(stored.messages.allSatisfy { $0.assertedSender == units[0].id })
    #expect(try await source.settled(200).final.values.allSatisfy { $0 == .confirmed })
    await publisher.end()
    await consumer.end()
  }

  @Test func aNameThatTheCertificateDoesNotHaveIsRefused() throws {
    let broker = try TestBroker.shared
    var settings = try settings(broker, try broker.units(1)[0])
    settings.hosts = [BrokerHost(name: "127.0.0.1", port: broker.tlsPort)]
    let error = try #require(failure(settings))
    #expect(error.kind == .tls && error.reason.contains("name mismatch"))
  }

  @Test func anUnknownAuthorityIsRefused() throws {
    let broker = try TestBroker.shared
    let other = try TestCertificates(folder: broker.certificates.folder, name: "other")
    var settings = try settings(broker, try broker.units(1)[0])
    settings.tls?.caFile = other.caFile
    let error = try #require(failure(settings))
    #expect(error.kind == .tls && error.reason.contains("untrusted"))
  }

  @Test func aMissingClientCertificateIsNamed() throws {
    let broker = try TestBroker.shared
    var settings = try settings(broker, try broker.units(1)[0])
    settings.tls?.certificateFile = nil
    settings.tls?.keyFile = nil
    let error = try #require(failure(settings))
    #expect(error.kind == .tls && error.reason.contains("no client cert"))
  }

  @Test func unreadableFilesAreNamed() throws {
    let broker = try TestBroker.shared
    var settings = try settings(broker, try broker.units(1)[0])
    settings.tls?.caFile = "/nowhere/ca.pem"
    #expect(failure(settings)?.reason.contains("/nowhere/ca.pem") == true)
  }

  @Test func aCertificateWithoutAUserIsRefused() throws {
    let broker = try TestBroker.shared
    let id = try #require(UnitID("stranger"))
    let error = try #require(
      failure(try settings(broker, TestBroker.Unit(id: id, password: ""))))
    #expect(error.kind == .loginRefused)
  }
}
