// Every sentence the page itself shows. What the desk says comes from the server.

export const T = {
  appName: '物业管家',
  property: (community) => `${community}物业`,
  helper: { worker: '派单助手', supervisor: '主管助手', manager: '经理助手', desk: '前台助手' },
  roleName: { resident: '住户', stranger: '访客', worker: '师傅', supervisor: '主管', manager: '经理', desk: '前台' },

  // entry
  chooseTitle: '选择您的身份',
  chooseHint: '演示模式：点一个人，就用他的身份聊天',
  groups: [
    { title: '住户', roles: ['resident', 'stranger'] },
    { title: '师傅', roles: ['worker'] },
    { title: '管理', roles: ['supervisor', 'manager', 'desk'] },
  ],
  otherGroup: '其他',
  threeView: '三屏演示',
  threeHint: '住户、师傅、主管同时看',
  loginHint: '请打开物业发给您的链接，或输入收到的验证码',
  codeLabel: '验证码',
  codeSummary: '我有验证码',
  codeMissing: '请输入验证码',
  login: '进入',
  continueAs: (name) => `继续使用（${name}）`,
  dutyPhone: '需要帮助请打值班电话：',
  expired: '登录已过期，请重新打开链接或输入验证码',
  noSuchPerson: '没有找到这个人，请重新选择',

  // header
  back: '返回',
  logout: '退出',
  bigType: '大字',
  bigTypeHint: '大字显示',
  typing: '对方正在输入…',
  threeTitle: '三屏演示',
  pickPerson: '切换身份',
  phoneLabel: (name) => `${name}的手机`,
  unread: (n) => `${n} 条未读`,

  // log
  log: '聊天记录',
  me: '我',
  desk: '物业',
  empty: {
    resident: '您好，家里哪里坏了、\n有什么意见或想问的，直接说就行',
    worker: '派给您的活会出现在这里',
    supervisor: '可以直接问，比如“今天”“超时”',
  },
  quickReplies: '可选的回复',
  sending: '正在发送',
  notSent: '没有发出',
  retry: '重发',
  discard: '删除',
  newMessages: (n) => (n > 1 ? `${n} 条新消息` : '有新消息'),
  offline: '网络不稳定，正在重连…',
  photo: '照片',
  photoOf: (who) => `${who}发的照片，点开看大图`,
  photoBroken: '照片暂时看不了',
  closePhoto: '关闭大图',
  location: '位置',
  call: (number) => `拨打 ${number}`,

  // composer
  input: '输入消息',
  placeholder: { resident: '请描述问题…', worker: '回复…', supervisor: '想问什么…' },
  send: '发送',
  textFull: (n) => `一条最多${n}字，后面的请分开发`,
  more: '更多',
  quickCommands: '常用',
  commands: {
    resident: ['报修', '投诉', '我的进度', '转人工'],
    worker: ['我的单', '接单', '到了', '完工'],
    supervisor: ['今天', '未接单', '超时', '帮助'],
  },
  camera: '拍照',
  cancel: '取消',
  photoTitle: (n) => (n > 1 ? `发送 ${n} 张照片` : '发送照片'),
  photoCaption: '说明（可不填）',
  photoBig: (mb) => `照片超过 ${mb}MB，请换一张`,
  photoUnreadable: '这个文件不是照片，请换一张',
  photoTooMany: (n) => `一次最多 ${n} 张`,
  photoRemove: '不发这张',
  locationTitle: '发送位置',
  locationWait: '正在获取您的位置…',
  locationFound: '已获取位置',
  locationFailed: '没能获取位置，请写一下在哪里',
  locationLabel: '在哪里',
  locationExample: '如：3栋楼下、地下车库B区',
  myLocation: '我的位置',

  // errors the server could not word for us
  networkError: '网络不通，请稍后再试',
  serverError: '服务暂时不可用，请稍后再试',
};

// Staff of the property company share the supervisor's words, walk-ins the resident's.
export function voiceOf(role) {
  if (role === 'worker') return 'worker';
  return ['supervisor', 'manager', 'desk'].includes(role) ? 'supervisor' : 'resident';
}
