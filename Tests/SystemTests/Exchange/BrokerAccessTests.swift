import Foundation
import Testing

extension Exchange {
  @Suite struct BrokerAccessTests {
    @Test func aWrongPasswordIsSaidByName() async throws {
      let node = try await Province.node("LOGIN-A")
      var environment = try await Province.shared.plainConnection(of: "LOGIN-A")
      environment["CONGVAN_BROKER_PASSWORD"] = "wrong"
      let wrong = try await node.congvan(["config", "check"], environment: environment)
      #expect(wrong.status == 1)
      #expect(wrong.output.contains("FAIL  broker: [BROKER-LOGIN-REFUSED]"))
      // With the right one, so that it was the password.
      environment["CONGVAN_BROKER_PASSWORD"] = nil
      let right = try await node.congvan(["config", "check"], environment: environment)
      #expect(right.status == 0, "\(right)")
      #expect(right.output.contains("ok    broker: amqp://LOGIN-A@localhost"))
    }

    /// The broker of deploy/broker wants a client certificate of everybody who comes over TLS.
    @Test func aPasswordInsteadOfTheCertificateIsSaidByName() async throws {
      let node = try await Province.node("LOGIN-A")
      let check = try await node.congvan(
        ["config", "check"],
        environment: [
          "CONGVAN_BROKER_AUTHENTICATION": "password", "CONGVAN_BROKER_PASSWORD": "any",
        ])
      #expect(check.status == 1)
      #expect(check.output.contains("FAIL  broker: [BROKER-TLS] no client cert"))
    }

    @Test func aBrokerOfAnotherAuthorityIsNotTalkedTo() async throws {
      let node = try await Province.node("LOGIN-A")
      let other = try CleanUp.folder("other-ca")
      try await Command.require("\(Places.deploy)/ca", ["init", "\(other)/ca"])
      let check = try await node.congvan(
        ["config", "check"], environment: ["CONGVAN_BROKER_CA_FILE": "\(other)/ca/ca.pem"])
      #expect(check.status == 1)
      #expect(check.output.contains("FAIL  broker: [BROKER-TLS] untrusted"))
    }

    @Test func untilIdleEndsWithACodeWhenTheBrokerIsAbsentOrRefuses() async throws {
      let node = try await Province.node("LOGIN-A")
      // A port of this machine that nobody listens on: 1 is reserved (tcpmux).
      let absent = try await node.congvan(
        ["node", "--until-idle"], environment: ["CONGVAN_BROKER_PORT": "1"])
      #expect(absent.status == 1)
      #expect(absent.errors.contains("error[NODE-BROKER-UNREACHABLE]: BROKER-UNREACHABLE"))
      #expect(absent.errors.contains("\n  next: "))
      let province = try await Province.shared
      var plain = province.plainConnection(of: "LOGIN-A")
      plain["CONGVAN_BROKER_PASSWORD"] = "wrong"
      let refused = try await node.congvan(["node", "--until-idle"], environment: plain)
      #expect(refused.status == 1)
      #expect(refused.errors.contains("error[NODE-BROKER-UNREACHABLE]: BROKER-LOGIN-REFUSED"))
    }

    /// The definitions as they were imported, on whichever broker: a message that comes back thirty
    /// times is still there. RabbitMQ 4 deletes it at 20 where nothing else is said.
    @Test func whatIsReturnedThirtyTimesStays() async throws {
      let province = try await Province.shared
      let queue = "queues/congvan/congvan.ordinary.LOGIN-A"
      try await province.api(
        "POST", "exchanges/congvan/congvan.hub/publish",
        #"{"properties": {"delivery_mode": 2}, "routing_key": "ordinary.LOGIN-A", "payload": "x", "#
          + #""payload_encoding": "string"}"#)
      func get(_ mode: String) async throws -> Int {
        try Shape.list(
          try await province.api(
            "POST", "\(queue)/get",
            #"{"count": 1, "ackmode": "\#(mode)", "encoding": "auto"}"#)
        ).count
      }
      for _ in 0..<30 { #expect(try await get("reject_requeue_true") == 1) }
      #expect(try await get("ack_requeue_false") == 1)
      #expect(try await get("ack_requeue_false") == 0)
    }

    @Test func theOperatorsCheckReadsWhatTheBrokerExports() async throws {
      let node = try await Province.node("LOGIN-A")
      let province = try await Province.shared
      let export = try await Command.require(
        "\(Places.deploy)/broker",
        ["ctl", "\(province.path)/broker", "-q", "export_definitions", "-"])
      let file = "\(try CleanUp.folder("export"))/export.json"
      try Data(export.utf8).write(to: URL(filePath: file))
      let right = try await node.congvan(["broker", "check", file])
      #expect(right.status == 0, "\(right)")
      #expect(right.output.contains(/ok    export: RabbitMQ [34]\./))
      #expect(right.output.contains("ok    delivery limit: "))
      // As definitions of an older version left it.
      try Data(export.replacing(/"delivery-limit":\d+,/, with: "").utf8)
        .write(to: URL(filePath: file))
      let wrong = try await node.congvan(["broker", "check", file])
      #expect(wrong.status == 1)
      #expect(wrong.output.contains("FAIL  delivery limit: congvan.ordinary."))
      #expect(wrong.output.contains("next: congvan broker definitions"))
      let other = try await node.congvan(["broker", "check", "\(node.path)/congvan.yaml"])
      #expect(other.failure == "CONFIG-UNREADABLE", "\(other)")
    }

    /// What a node cannot see it does not claim.
    @Test func theCheckSaysWhatALoginCannotSee() async throws {
      let check = try await Province.node("LOGIN-A").congvan(["config", "check"])
      #expect(check.status == 0, "\(check)")
      let major = try #require(check.output.firstMatch(of: /\(RabbitMQ (\d+)\./)).1
      #expect(check.output.contains("note  broker: RabbitMQ 4.") == (major == "4"))
    }
  }
}
