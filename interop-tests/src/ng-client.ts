export { NgClient } from '@offhook/core/node';
