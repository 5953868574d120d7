import { randomBytes } from 'node:crypto';
import { unzipSync } from 'fflate';
import { objectOf } from './server.ts';
import { shanghai } from './times.ts';

const LONGEST_NAME = 200;
const KEPT_DAYS = 30;

/** 9101 takes a ZIP of the calling institution and gives it a number, under which 9102 hands it out again. */
export function fileStore(now: () => Date): {
  /** Output of 9101, or the platform's words for what is wrong with the file. */
  take: (input: Record<string, unknown>, institution: string) => Record<string, unknown> | string;
  handOut: (input: Record<string, unknown>) => Buffer | undefined;
} {
  const files = new Map<string, Buffer>();
  const textIn = (node: unknown, name: string): string => {
    const value = objectOf(node)[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    take({ fsUploadIn: given }, institution) {
      const [name, code, encoded] = ['filename', 'fixmedins_code', 'in'].map((key) => textIn(given, key));
      if (!name) return 'FSI-filename不能为空';
      if ([...name].length > LONGEST_NAME || !name.endsWith('.zip')) return 'FSI-文件名应以.zip结尾且不超过200个字符';
      if (code !== institution) return 'FSI-fixmedins_code与报文中的机构编号不一致';
      if (!encoded) return 'FSI-文件内容不能为空';
      const content = Buffer.from(encoded, 'base64');
      if (content.toString('base64') !== encoded || filesIn(content) !== 1) return 'FSI-文件内容应为只含一个文件的ZIP包';
      const number = randomBytes(15).toString('hex');
      files.set(number, content);
      const until = shanghai(new Date(now().getTime() + KEPT_DAYS * 86_400_000));
      return { file_qury_no: number, filename: name, fixmedins_code: code, dld_endtime: until };
    },
    handOut: ({ fsDownloadIn: asked }) => files.get(textIn(asked, 'file_qury_no')),
  };
}

/** How many files an archive has; 0 for what is none. */
function filesIn(content: Buffer): number {
  try {
    return Object.keys(unzipSync(content)).length;
  } catch {
    return 0;
  }
}
