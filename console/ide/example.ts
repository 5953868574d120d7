/** The query a new tab starts with: valid against any `archive` that is an object, and explained for a first-time reader. */
export const EXAMPLE = `# 查询示例：按统一社会信用代码查询信用主体的信用档案
#
#   1. 在上方填写令牌，选择查询用途，填写依据和案号。
#   2. 按 Ctrl+Enter 或点击 ▶ 运行；按 Ctrl+空格提示字段。
#   3. 不予提供的字段返回 null，errors 中写明规则和条款；
#      脱敏的字段列在 extensions.access 中，并非没有数据。
#   4. 每次查询（包括被拒绝的）都会留存日志，回执显示在右上角。

query Subject {
  subject(code: "91310110666007217T") {
    name
    archive {
      # 在此添加需要的信息类别和字段
      __typename
    }
  }
}
`;
