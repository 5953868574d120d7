import type { Receipt } from '../connectors/contract.ts';
import { fillText } from '../connectors/template.ts';
import { StopStream } from '../errors.ts';
import type { PushStream } from '../model/types.ts';
import type { StoredReceipt } from '../store/sending.ts';
import { verifySignature } from '../store/signing.ts';
import type { Jobs } from './hub.ts';

/**
 * A receipt as it is kept: with its signature verified, where the platform signs. Throws StopStream for one that does not verify – somebody else may be
 * answering, so nothing more is sent and the row stays in doubt – and for a key that is none.
 */
export function verifiedReceipt(
  jobs: Pick<Jobs, 'logger'>,
  { connector, id, via }: PushStream,
  settings: Readonly<Record<string, string>>,
  receipt: Receipt | undefined,
): StoredReceipt {
  if (receipt === undefined) throw new Error(`${connector}/${id}: accepted without a receipt`);
  const { number, at, signed } = receipt;
  if (via.kind !== 'http' || via.signature === undefined) return { number, at };
  if (signed === undefined || !holds(fillText(via.signature.key, settings), signed)) {
    jobs.logger.error({ connector, stream: id, receipt: number }, 'the signature of a receipt does not verify');
    throw new StopStream(`receipt-signature: ${connector}/${id} 的回执签名验证不通过`);
  }
  return { number, at, signature: signed.signature };
}

function holds(key: string, { text, signature }: { text: string; signature: string }): boolean {
  try {
    return verifySignature(key, Buffer.from(text), Buffer.from(signature, 'base64'));
  } catch {
    throw new StopStream('receipt-key: 平台回执验签公钥无法读取');
  }
}
