import { Unzip, UnzipInflate } from 'fflate';
import { RetryLater, StopStream } from '../errors.ts';

/** Uncompressed, of one archive. */
const LARGEST_FILE = 200 * 1024 * 1024;
/** Text of a catalogue shrinks to a tenth; a bomb to a thousandth. Files below `SMALL` are not judged by it. */
const MOST_RATIO = 200;
const SMALL = 1024 * 1024;
/** Inflated at once: at most a thousand times as much comes out before it is counted. */
const SLICE = 16 * 1024;

/**
 * The bytes of the one file in an archive, in parts. What the archive says of its sizes is not believed. StopStream: it holds several files, or
 * inflates to more than 200 MB or 200 times its size, and the rest of it is never inflated. RetryLater: it is broken or ends too early.
 */
export function unzipOne(zip: Uint8Array, label: string): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let files = 0;
  let size = 0;
  let ended = false;
  const unzip = new Unzip((file) => {
    files += 1;
    if (files > 1) throw new StopStream(`bad-zip: ${label} 的压缩包内不止一个文件`);
    file.ondata = (error, data, final) => {
      if (error) throw error;
      size += data.length;
      if (size > LARGEST_FILE) throw new StopStream(`zip-bomb: ${label} 的文件解压后超过 ${LARGEST_FILE / 1024 / 1024} MB`);
      if (size > SMALL && size > MOST_RATIO * zip.length) throw new StopStream(`zip-bomb: ${label} 的压缩比超过 ${MOST_RATIO}`);
      parts.push(data);
      ended = final;
    };
    file.start();
  });
  unzip.register(UnzipInflate);
  try {
    for (let at = 0; at < zip.length; at += SLICE) unzip.push(zip.subarray(at, at + SLICE), at + SLICE >= zip.length);
  } catch (error) {
    if (error instanceof StopStream) throw error;
    throw broken(label);
  }
  if (files === 0) throw new StopStream(`bad-zip: ${label} 的压缩包内没有文件`);
  if (!ended) throw broken(label);
  return parts;
}

function broken(label: string): RetryLater {
  return new RetryLater(`cut-file: ${label} 的压缩包不完整或已损坏`);
}
