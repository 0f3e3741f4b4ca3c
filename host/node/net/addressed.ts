/** A stream with two ends that have addresses: what node:net's Socket says of them. */
import { Duplex } from "node:stream";
import { familyOf } from "./errors.ts";
import type { AddressInfo, Endpoint } from "./options.ts";

export abstract class AddressedStream extends Duplex {
  /** This end and the other one, once they are known. */
  protected local: Endpoint | undefined;
  protected remote: Endpoint | undefined;

  abstract get connecting(): boolean;

  address(): AddressInfo | Record<string, never> {
    const { local } = this;
    if (local === undefined || this.destroyed) return {};
    return { address: local.address, port: local.port, family: familyOf(local.address) };
  }

  get localAddress(): string | undefined {
    return this.local?.address;
  }

  get localPort(): number | undefined {
    return this.local?.port;
  }

  get localFamily(): string | undefined {
    return this.local && familyOf(this.local.address);
  }

  get remoteAddress(): string | undefined {
    return this.connecting ? undefined : this.remote?.address;
  }

  get remotePort(): number | undefined {
    return this.connecting ? undefined : this.remote?.port;
  }

  get remoteFamily(): string | undefined {
    const address = this.remoteAddress;
    return address === undefined ? undefined : familyOf(address);
  }
}
